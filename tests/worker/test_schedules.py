"""Cells and the trials of a search as schedules, without processes: what runs next, what becomes of what ended."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mta_lab.config import fingerprint
from mta_lab.records import Failure, Records
from mta_lab.scheduling import Study, Trials
from mta_lab.sweep import Cell, Sweep, load_sweep
from mta_lab.worker.schedules import Cells, SearchTrials
from mta_lab.worker.tasks import Task
from tests.report.examples import example_record, finish
from tests.test_sweep import load

TEXT = "text"
RATES = {"from": 1e-3, "to": 1e-2, "log": True}
TWO_ROWS: dict[str, Any] = {
    "search": {"trials": 3, "space": {"rate": RATES, "keys": {"from": 1, "to": 9}}},
    "rows": {
        "plain": {"attention": "softmax", "training.learning_rate": "$rate"},
        "kernel": {
            "attention": {"name": "multi_token", "pre_softmax": [{"name": "key_query", "kernel": [2, "$keys"]}]},
            "training.learning_rate": "$rate",
        },
    },
}
# Few values, so that trials repeat each other.
TWO_VALUES: dict[str, Any] = {
    "search": {"trials": 6, "space": {"rate": {"choices": [0.001, 0.01]}}},
    "rows": {
        "plain": {"attention": "softmax", "training.learning_rate": "$rate"},
        "fixed": {"attention": "talking_heads"},
    },
}
# Both ends can be built, and most of what is between cannot: 64 channels over so many heads.
HEADS: dict[str, Any] = {
    "search": {"trials": 12, "space": {"heads": {"from": 1, "to": 32}}},
    "rows": {"plain": {"attention": "softmax", "model.heads": "$heads"}, "fixed": {"model.heads": 4}},
}


@dataclass
class Searched:
    """A search's schedule and what it is made of."""

    sweep: Sweep
    records: Records
    studies: dict[str, Trials]
    schedule: SearchTrials

    def end(self, task: Task, score: float) -> None:
        """Finish a task, as a launch does."""
        self.records.finish(example_record(task.fingerprint, score, task.cell.config))
        self.schedule.finished(task, example_record(task.fingerprint, score, task.cell.config))

    def reopened(self) -> "Searched":
        """The next launch of the same search."""
        return searched(self.sweep, self.records)


def task_of(cell: Cell) -> Task:
    return Task(cell=cell, content_hash=TEXT, fingerprint=fingerprint(cell.config, TEXT))


def searched(sweep: Sweep, records: Records) -> Searched:
    assert sweep.search
    journal = records.directory / "optuna.journal"
    studies = {row: Trials.opened(journal, f"search-{row}", pytest.fail) for row in sweep.search.templates}
    return Searched(sweep, records, studies, SearchTrials(sweep.search, studies, task_of, records))


Begin = Callable[[dict[str, Any]], Searched]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    return lambda file: searched(load(tmp_path, file), Records(tmp_path / "results"))


def row_of(task: Task) -> str:
    return task.cell.row.split(" trial ")[0]


def counts(found: Searched, row: str = "plain") -> tuple[int, int, int]:
    """Complete, pruned, failed."""
    complete, pruned, failed = found.studies[row].counts().values()
    return complete, pruned, failed


def test_rows_take_turns_and_get_as_many_trials_each(begin: Begin) -> None:
    found = begin(TWO_ROWS)
    assert found.schedule.left() == 6
    tasks = []
    while task := found.schedule.next():
        tasks.append(task)
        assert found.schedule.left() == 6 - len(tasks)
    assert [row_of(task) for task in tasks] == ["plain", "kernel"] * 3
    assert [task.cell.row for task in tasks[::2]] == [f"plain trial {number}" for number in range(3)]
    assert {task.cell.config.stream for task in tasks} == {"search"}
    for task in reversed(tasks):  # they end in any order
        found.end(task, 30.0)
    assert [counts(found, row) for row in ("plain", "kernel")] == [(3, 0, 0)] * 2
    assert found.schedule.next() is None
    assert found.reopened().schedule.left() == 0


def test_a_row_that_is_behind_goes_first(begin: Begin) -> None:
    found = begin(TWO_ROWS)
    tasks = [task for _ in range(2) if (task := found.schedule.next())]
    for task in tasks:
        found.end(task, 30.0) if row_of(task) == "plain" else found.schedule.failed(task, "RuntimeError: no")
    found = found.reopened()
    after = found.schedule.next()
    assert after
    assert row_of(after) == "kernel"


def test_trials_end_as_they_ended(begin: Begin) -> None:
    found = begin({**TWO_ROWS, "search": {**TWO_ROWS["search"], "trials": 4}})
    tasks = []
    while task := found.schedule.next():
        tasks.append(task)
    whole, behind, broken, lost = (task for task in tasks if row_of(task) == "plain")
    assert found.schedule.validated(whole, 10, 40.0) in (True, False)
    found.end(whole, 30.0)
    found.schedule.stopped(behind)
    found.schedule.failed(broken, "RuntimeError: no")
    assert counts(found) == (1, 1, 1)
    assert found.schedule.left() == 0
    found.schedule.put_back(lost, "its worker was gone")
    assert (found.schedule.left(), counts(found)) == (1, (1, 1, 1))
    assert found.schedule.next() == lost
    assert found.schedule.next() is None
    found.end(lost, 35.0)
    best = found.studies["plain"].best(3)[0]
    assert (best.score, best.values["rate"]) == (30.0, whole.cell.config.training.learning_rate)


def test_the_next_launch_makes_up_for_what_failed(begin: Begin) -> None:
    found = begin(TWO_ROWS)
    while task := found.schedule.next():
        if row_of(task) == "plain":
            found.schedule.failed(task, "interrupted")
        else:
            found.end(task, 30.0)
    assert (found.schedule.left(), counts(found)) == (0, (0, 0, 3))  # a row whose trials all fail comes to an end
    again = found.reopened()
    assert again.schedule.left() == 3
    rows = Counter[str]()
    while task := again.schedule.next():
        rows[row_of(task)] += 1
        again.end(task, 30.0)
    assert rows == {"plain": 3}
    assert counts(again) == (3, 0, 3)


def test_the_next_launch_goes_on_with_what_was_interrupted(begin: Begin) -> None:
    found = begin(TWO_ROWS)
    tasks = [task for _ in range(4) if (task := found.schedule.next())]
    found.end(tasks[0], 30.0)
    found.schedule.put_back(tasks[1], "interrupted")  # the others were running when the launch was killed
    for _ in range(2):  # and so was the next
        found = found.reopened()
        assert found.schedule.left() == 5
        again = [task for _ in range(5) if (task := found.schedule.next())]
        assert {task.fingerprint for task in tasks[1:]} <= {task.fingerprint for task in again}
    assert len({task.fingerprint for task in again}) == 5
    assert found.schedule.next() is None


def test_values_that_failed_for_good_are_not_tried_again(begin: Begin) -> None:
    found = begin(TWO_VALUES)
    first = found.schedule.next()
    assert first
    failure = Failure(fingerprint=first.fingerprint, label=first.cell.label, reason="RuntimeError: no", traceback="")
    found.records.fail(failure)
    found.schedule.failed(first, failure.reason)
    others = []
    while task := found.schedule.next():
        others.append(task.fingerprint)
    assert first.fingerprint not in others


def test_values_that_cannot_be_built_fail_their_trial_and_the_search_goes_on(begin: Begin) -> None:
    found = begin(HEADS)
    built = []
    while task := found.schedule.next():
        built.append(task.cell.config.model.heads)
        found.end(task, 30.0)
    complete, pruned, failed = counts(found)
    assert (complete + failed, pruned) == (12, 0)
    assert failed > 0
    assert set(built) <= {1, 2, 4, 8, 16, 32}
    assert {best.values["heads"] for best in found.studies["plain"].best(12)} == set(built)


def test_a_record_of_the_same_values_is_told_at_once(begin: Begin) -> None:
    found = begin(TWO_VALUES)
    assert found.sweep.search
    for rate, score in ((0.001, 50.0), (0.01, 40.0)):
        config = found.sweep.search.config("plain", {"rate": rate})
        finish(found.records, fingerprint(config, TEXT), score, config)
    assert found.schedule.next() is None
    assert found.schedule.left() == 0
    assert counts(found) == (6, 0, 0)
    assert [(best.values["rate"], best.score) for best in found.studies["plain"].best(2)] == [
        (0.01, 40.0),
        (0.001, 50.0),
    ]


def test_values_that_are_running_are_not_run_twice(begin: Begin) -> None:
    found = begin(TWO_VALUES)
    tasks = []
    while task := found.schedule.next():
        tasks.append(task)
    assert 1 <= len(tasks) == len({task.fingerprint for task in tasks}) <= 2
    assert counts(found) == (0, 0, 6 - len(tasks))
    for task in tasks:
        found.end(task, 30.0)
    assert counts(found) == (len(tasks), 0, 6 - len(tasks))


def test_more_trials_than_before_are_only_the_difference(begin: Begin, tmp_path: Path) -> None:
    found = begin(TWO_ROWS)
    while task := found.schedule.next():
        found.end(task, 30.0)
    load(tmp_path, {**TWO_ROWS, "search": {**TWO_ROWS["search"], "trials": 5}})
    more = searched(load_sweep(str(tmp_path / "norms.yaml"), scale="nano"), found.records)
    assert more.schedule.left() == 4
    rows = []
    while task := more.schedule.next():
        rows.append(task.cell.row)
    assert rows == ["plain trial 3", "kernel trial 3", "plain trial 4", "kernel trial 4"]  # and none repeats another


def test_cells_that_were_put_back_start_next_in_their_order(tmp_path: Path) -> None:
    """Whatever is known of how long rows take, and whatever their seeds."""
    sweep = load(tmp_path, {"rows": {row: {"model.heads": heads} for row, heads in (("a", 1), ("b", 2), ("c", 4))}})
    cells = Cells([task_of(cell) for cell in sweep.cells()], Study(tmp_path / "optuna.journal", "table", pytest.fail))
    started = [task for _ in range(4) if (task := cells.next())]
    first, second, third, fourth = started
    for done in (first, fourth):  # the times of their rows are known now, and others go first
        cells.finished(done, example_record(done.fingerprint, 30.0, done.cell.config))
    cells.put_back(third, "its worker was gone")
    cells.put_back(second, "out of memory")
    assert cells.left() == 9 - 2
    assert [cells.next(), cells.next()] == [third, second]
    after = cells.next()
    assert after
    cells.put_back(after, "interrupted")
    assert cells.next() == after
    rest = []
    while task := cells.next():
        rest.append(task)
    assert len({task.fingerprint for task in [*started, after, *rest]}) == 9
    assert cells.left() == 0
