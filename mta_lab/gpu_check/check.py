"""Run the stages, each in a process of its own, and keep what they say in one file."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mta_lab.atomic import write_whole
from mta_lab.children import python
from mta_lab.devices.visible import VISIBLE, WORKSPACE, counted_gpus, driver, gpus, trouble
from mta_lab.gpu_check.stages import Stage
from mta_lab.provenance import commit
from mta_lab.words import duration

NOT_RUN = 3  # exit status of a stage that cannot be run here
LONGEST = 480.0  # seconds of the whole check
PATIENT = 5  # times as long may a small stage take: the CPU may be busy
NO_GPU, NOT_BUILT = "not run: no GPU", "not built"
Say = Callable[[Stage, str], None]
"""told of each stage and what became of it"""


def check(file: Path, stages: Sequence[Stage], *, small: bool, say: Say) -> bool:
    """Run `stages` and write what they find to `file`, anew after each; return whether none failed.

    Where there is no GPU nothing is run, and the file says so. `small` runs all on the CPU, at
    small sizes and with more time.

    Raises:
        UserError: the file cannot be written.
    """
    ended = time.monotonic() + LONGEST
    found = [_entry(stage) for stage in stages]
    report = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), **_machine(small)}
    for stage, entry in zip(stages, found, strict=True):
        write_whole(file, json.dumps({**report, "stages": found}, indent=1))
        if not stage.built:
            entry["state"] = NOT_BUILT
        elif not small and not gpus():
            entry["state"] = NO_GPU
        else:
            limit = PATIENT * stage.limit if small else min(stage.limit, max(1.0, ended - time.monotonic()))
            entry.update(_run(stage, limit, small=small))
        say(stage, _said(entry))
    write_whole(file, json.dumps({**report, "stages": found}, indent=1))
    return not any(entry["state"] == "failed" for entry in found)


def _entry(stage: Stage) -> dict[str, Any]:
    return {"name": stage.name, "state": "to do", "proves": stage.proves, "limit": stage.limit}


def _machine(small: bool) -> dict[str, Any]:
    """Return what is known of the machine without computing on it."""
    if small:
        return {"gpus": "none: small stages on the CPU"}
    return {"gpus": counted_gpus(gpus()) or trouble() or "none", "driver": driver()}


def _said(entry: dict[str, Any]) -> str:
    taken = f" in {duration(entry['seconds'])}" if "seconds" in entry else ""
    return f"{entry['state']}{taken}" + (f": {entry['error']}" if "error" in entry else "")


def _run(stage: Stage, limit: float, *, small: bool) -> dict[str, Any]:
    """Run a stage in a process group of its own, and end all of it after `limit` seconds."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, environment = Path(name), dict(os.environ)
        environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{name}/mlflow.db", WORKSPACE[0]: WORKSPACE[1]}
        environment |= {VISIBLE: ""} if small else {}
        command = python("-m", "mta_lab.gpu_check", stage.name, name, *(["small"] if small else []))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            try:
                status: int | None = process.wait(limit)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _end(process)
        taken = {"seconds": round(time.monotonic() - started, 1)}
        if status is None:
            return {"state": "failed", "error": f"took longer than {duration(limit)}", "log": _tail(folder), **taken}
        outcome = folder / "outcome.json"
        if not outcome.exists():
            return {"state": "failed", "error": f"ended with status {status}", "log": _tail(folder), **taken}
        result = json.loads(outcome.read_text())
        if status == NOT_RUN:
            return {"state": f"not run: {result}"}
        if status:
            return {"state": "failed", "error": result, "log": _tail(folder), **taken}
        return {"state": "passed", **taken, "result": result}


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of a stage's processes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(folder: Path) -> list[str]:
    return (folder / "log").read_text(errors="replace").splitlines()[-20:]
