"""After a launch the rows' steps are timed in turns, once."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from components.registry import remembered
from mta_lab.lab import turns
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.launches import launch_plan
from mta_lab.lab.plan import Plan
from mta_lab.lab.plans import plan
from mta_lab.planning.runs import Run, identified
from mta_lab.results.step_times import StepTime, step_times
from tests.launch.sweeps import write_sweep
from tests.report.examples import finish

MINE = """
from components.attention.softmax import Softmax
from components.registry import register

@register("attention", "mine")
class Mine(Softmax):
    \"\"\"Softmax attention of one's own.\"\"\"
"""
ROWS = {"plain": {"attention": "softmax"}, "mine": {"attention": "mine"}, "heads": {"attention": "talking_heads"}}


@dataclass
class Place:
    """A folder with a sweep of three rows that are trained for moments."""

    folder: Path
    said: list[str]

    def plan(self, **rows: dict[str, object]) -> Plan:
        task = {"name": "find_block", "letters": 3, "blocks": 2, "held_out": 12}
        file = self.folder / "three.yaml"
        write_sweep(file, {**ROWS, **rows}, seeds=1, task=task, model={"vocabulary": 28}, components=["mine.py"])
        return plan(str(file), Conditions(), Display(self.said.append, self.said.append))

    def finished(self) -> tuple[Plan, list[Run]]:
        """Return the plan with made-up records of its runs, which took long."""
        found = self.plan()
        runs = identified(found.sweep, lambda run: "")
        for run in runs:
            finish(found.records, run.fingerprint, 0.5, run.config, quantity="error_rate", training_seconds=1000.0)
        return found, runs

    @property
    def kept(self) -> dict[tuple[str, str], StepTime]:
        return step_times(self.folder / "results")

    @property
    def timings(self) -> list[str]:
        """Lines on steps, since it was asked last."""
        lines = [line for line in self.said if "in turns" in line]
        self.said.clear()
        return lines


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    forget = remembered()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "mine.py").write_text(MINE)
    yield Place(tmp_path, [])
    forget()


def test_nothing_is_timed_while_a_run_is_missing_or_where_runs_train_for_moments(place: Place) -> None:
    found, runs = place.finished()
    turns.time_rows(found, [*runs, replace(runs[0], fingerprint="another")])
    for run in runs:
        finish(found.records, run.fingerprint, 0.5, run.config, quantity="error_rate", training_seconds=1.0)
    turns.time_rows(found, runs)
    assert (place.timings, place.kept) == ([], {})


@pytest.mark.slow
def test_a_launch_times_what_is_new(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LEAST", 0.0)
    monkeypatch.setattr(turns, "SHARE", 1000.0)
    launched = launch_plan(place.plan(), 1)
    (said,) = place.timings
    assert said.startswith("timing a step of 2 rows beside the baseline's, in turns, for ")
    first = place.kept
    assert launched.table.in_turns.keys() == {"mine", "heads"}
    assert all(one.low <= one.value <= one.high and one.rounds >= 20 for one in first.values())

    launch_plan(place.plan(), 1)
    assert place.timings == []
    assert place.kept == first

    launched = launch_plan(place.plan(heads={"attention": {"name": "talking_heads", "dropout": 0.1}}), 1)
    (said,) = place.timings
    assert "a step of 1 row beside" in said
    assert place.kept.items() > first.items()
    assert launched.table.in_turns.keys() == {"mine", "heads"}

    monkeypatch.setattr("mta_lab.devices.own.trains_on", lambda: "another machine")
    launch_plan(place.plan(again={"attention": "softmax", "stream": "other"}), 1)
    assert "a step of 3 rows beside" in place.timings[0]


@pytest.mark.slow
def test_what_goes_wrong_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found, runs = place.finished()
    monkeypatch.setattr(turns, "LEAST", 0.0)
    monkeypatch.setattr(turns, "MOST", 1e-6)
    turns.time_rows(found, runs)
    assert place.timings[-1].startswith("steps were not timed in turns: 6 rounds of a step of each are needed and take")
    assert place.kept == {}


@pytest.mark.slow
def test_an_interrupt_ends_the_measurement_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found, runs = place.finished()
    interrupt = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    display = Display(lambda line: interrupt.start(), place.said.append)
    turns.time_rows(replace(found, display=display), runs)
    assert place.timings == ["interrupted: steps were not timed in turns; the next launch that trains does it"]
    assert place.kept == {}
    assert not multiprocessing.active_children()
