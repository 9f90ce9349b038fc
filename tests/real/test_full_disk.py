"""The disk fills in the middle of a sweep: one line, and nothing that was finished is lost.

A limit on the size of each file stands for the disk, as it needs no rights: the journal, which grows, meets it first.
"""

import resource
import subprocess
from pathlib import Path

import pytest

from tests.real.test_dashboard import COMMAND, environment
from tests.worker.sweeps import write_sweep

pytestmark = pytest.mark.real
ROWS = {"plain": {"attention": "softmax"}, "talking": {"attention": "talking_heads"}}
LIMIT = 12_000  # bytes: records are smaller, and so is the journal of some cells
SWEEP = [*COMMAND, "sweep", "heads.yaml", "--workers", "2"]


def full() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "results" / "cells").glob("*.json")}


def test_a_full_disk_ends_the_launch_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    write_sweep(tmp_path / "heads.yaml", ROWS, seeds=10, data={"corpus": "stdlib"})
    prepare = [*COMMAND, "data", "prepare", "data.corpus=stdlib", "model.vocabulary=300"]
    subprocess.run(prepare, cwd=tmp_path, env=environment(), check=True, timeout=120)
    options = {"cwd": tmp_path, "env": environment(), "capture_output": True, "text": True, "timeout": 180}
    ended = subprocess.run(SWEEP, **options, preexec_fn=full)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("mta-lab: results/optuna.journal: cannot be written: File too large")
    assert "the same command goes on" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.stdout
    before = files(tmp_path)
    assert 0 < len(before) < 20

    again = subprocess.run(SWEEP, **options)
    assert again.returncode == 0, again.stderr
    after = files(tmp_path)
    assert len(after) == 20
    assert {name: after[name] for name in before} == before
