"""Where the compiled library is kept, and what its name depends on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.kernels import build


def test_without_a_home_attention_runs_and_says_why_not_compiled(tmp_path: Path) -> None:
    """An unknown user without HOME, as in a container, imports the components; torch's forms run."""
    code = (
        "import pwd; pwd.getpwuid = {}.__getitem__\n"  # the system knows no user
        "import torch; from components.attention import Softmax\n"
        "layer = Softmax().build(width=8, heads=2, layer=1, layers=1)\n"
        "layer(torch.zeros(1, 3, 8)); print(layer.ran.name, layer.ran.reason)"
    )
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    sources = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**kept, **sources}, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sdpa ")
    assert "there is no home directory; set HOME or XDG_CACHE_HOME" in done.stdout


def test_folders_and_other_files_beside_the_sources_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = build.library()
    sources = tmp_path / "fused"
    shutil.copytree(build.SOURCES, sources)
    for folder in ("__pycache__", "notes.h"):
        (sources / folder).mkdir()
    (sources / "attend.cpp~").write_text("an editor's copy")
    monkeypatch.setattr(build, "SOURCES", sources)
    assert build.library() == expected
    (sources / "rows.h").write_text("other code")
    assert build.library() != expected
