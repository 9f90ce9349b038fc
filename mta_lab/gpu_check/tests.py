"""Stage `tests`: the tests of components and training that compute on the GPU."""

import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mta_lab.children import ROOT, python
from mta_lab.gpu_check.stages import NotRunError, StageError

CHOSEN, FEW = ("tests/components", "tests/training"), ("tests/components/test_rms.py",)
PROCESSES, MOST = 8, 20  # at once; failures after which it ends


def run(_: Path, small: bool) -> dict[str, Any]:
    """Return the last line of pytest; raise StageError with the tests that failed."""
    if not (Path(ROOT) / "tests").is_dir() or find_spec("xdist") is None:
        raise NotRunError("there are no tests here; a checkout has them, `make test` installs what they need")
    chosen = ("-n", "0", *FEW) if small else ("-n", str(PROCESSES), "--device", "cuda", *CHOSEN)
    command = python("-m", "pytest", f"--maxfail={MOST}", "-p", "no:cacheprovider", *chosen)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    said = next((line for line in reversed(lines) if " in " in line), "nothing")
    if done.returncode:
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        raise StageError(f"{said}: {'; '.join(failed) or done.stderr[-300:]}")
    return {"pytest": said}
