"""Results of an earlier version, which kept them in `results/cells`, open and count as they are."""

import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from mta_lab.scheduling.journal import study_at_hand
from tests.cli.conftest import Command

WRITTEN = Path(__file__).parents[1] / "fixtures" / "cells.tar.gz"
"""`mta-lab sweep before.yaml --seeds 2` at commit 899c7f3,
with `mlflow.db` as SQL, without weights and logs"""
SWEEP = ("before.yaml", "--seeds", "2")


@pytest.fixture
def earlier(tmp_path: Path, lab: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory that the earlier version left, which is also the current one."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr("mta_lab.tracking.tracker.PATIENCE", 500.0)  # on a busy machine its first answer takes a while
    with tarfile.open(WRITTEN) as packed:
        packed.extractall(tmp_path, filter="data")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.executescript((tmp_path / "mlflow.sql").read_text())
    return tmp_path


def files(directory: Path) -> dict[str, bytes]:
    """Return the content of every file of finished runs, by its place in the directory."""
    found = (path for path in directory.rglob("*.json") if path.parent.name in ("cells", "runs"))
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def mlflow_runs(directory: Path) -> list[tuple[str, str]]:
    """Return the fingerprint and the status of each MLflow run that shows a run."""
    tagged = "SELECT value, status FROM tags JOIN runs USING (run_uuid) WHERE key = 'fingerprint' ORDER BY value"
    with closing(sqlite3.connect(directory / "mlflow.db")) as connection:
        return connection.execute(tagged).fetchall()


def test_what_an_earlier_version_finished_counts_and_is_never_trained_again(earlier: Path, lab: Command) -> None:
    before, tracked = files(earlier), mlflow_runs(earlier)
    assert len(before) == len(tracked) == 4
    assert "4 finished" in lab("status").out
    assert "finished, 4 runs" in lab("status", *SWEEP).out
    assert "0 of 4 runs to train" in lab("plan", *SWEEP).out
    assert "all 4 runs are finished, nothing to train" in lab("sweep", *SWEEP).out
    assert files(earlier) == before


def test_the_table_of_an_earlier_version_has_its_numbers(earlier: Path, lab: Command) -> None:
    shown = lab("report", *SWEEP, "--format", "csv").out.splitlines()
    assert len(shown) == 5
    assert "72539.7" in next(line for line in shown if "3806d5ef2ed74b3c" in line)
    assert "results/cells/3806d5ef2ed74b3c.json" in lab("why", "before.yaml", "mixing", "--seed", "0").out


def test_the_mlflow_runs_of_an_earlier_version_are_not_entered_again(earlier: Path, lab: Command) -> None:
    before = mlflow_runs(earlier)
    assert "0 finished and 0 failed runs entered into MLflow, 0 open runs closed" in lab("sync", *SWEEP).out
    assert mlflow_runs(earlier) == before


def test_a_launch_adds_to_the_study_and_the_experiment_of_an_earlier_version(earlier: Path, lab: Command) -> None:
    before, tracked = files(earlier), mlflow_runs(earlier)
    assert "2 of 6 runs to train" in lab("sweep", "before.yaml", "--seeds", "3", "--workers", "1").out
    new = {name: each for name, each in files(earlier).items() if name not in before}
    assert {Path(name).parent.as_posix() for name in new} == {"results/runs"}
    assert len(new) == 2
    assert files(earlier) == before | new
    study = study_at_hand(earlier / "results" / "optuna.journal", "before-nano")
    assert study
    trials = [trial.user_attrs["fingerprint"] for trial in study.trials]
    assert sorted(trials) == sorted(Path(name).stem for name in before | new)
    assert len(mlflow_runs(earlier)) == 6
    assert set(tracked) <= set(mlflow_runs(earlier))


def test_results_of_an_earlier_version_are_merged_and_packed_as_those_of_today(earlier: Path, lab: Command) -> None:
    shutil.move(earlier / "results", earlier / "other")
    assert "4 files added" in lab("results", "merge", "other").out
    assert {Path(name).parent.as_posix() for name in files(earlier)} == {"results/runs", "other/cells"}
    assert "0 files added, 4 the same" in lab("results", "merge", "other").out
    shutil.rmtree(earlier / "results")
    shutil.move(earlier / "other", earlier / "results")
    assert lab("results", "archive", *SWEEP, "--output", "packed.tar.gz").status == 0
    with tarfile.open("packed.tar.gz") as packed:
        assert sum("/results/runs/" in name for name in packed.getnames()) == 4
    assert "results/runs" not in {Path(name).parent.as_posix() for name in files(earlier)}
