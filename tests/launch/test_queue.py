"""Runs and a search's trials as schedules: the next to run, and what becomes of those that end."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mta_lab.config import fingerprint
from mta_lab.launch.queue import SearchQueue, SweepQueue
from mta_lab.planning.runs import Run
from mta_lab.results.records import Failure, Records
from mta_lab.scheduling import Study, Trials
from mta_lab.sweep import PlannedRun, Sweep, load_sweep
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
    schedule: SearchQueue

    def end(self, run: Run, score: float) -> None:
        """Finish a run, as a launch does."""
        self.records.finish(example_record(run.fingerprint, score, run.config))
        self.schedule.finished(run, example_record(run.fingerprint, score, run.config))

    def reopened(self) -> "Searched":
        """The next launch of the same search."""
        return searched(self.sweep, self.records)


def run_of(run: PlannedRun) -> Run:
    return Run.of(run, TEXT)


def searched(sweep: Sweep, records: Records) -> Searched:
    assert sweep.search
    journal = records.directory / "optuna.journal"
    studies = {row: Trials.opened(journal, f"search-{row}", pytest.fail) for row in sweep.search.templates}
    return Searched(sweep, records, studies, SearchQueue(sweep.search, studies, run_of, records))


Begin = Callable[[dict[str, Any]], Searched]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    return lambda file: searched(load(tmp_path, file), Records(tmp_path / "results"))


def row_of(run: Run) -> str:
    return run.row.split(" trial ")[0]


def counts(found: Searched, row: str = "plain") -> tuple[int, int, int]:
    """Complete, pruned, failed."""
    complete, pruned, failed = found.studies[row].counts().values()
    return complete, pruned, failed


def test_rows_take_turns_and_get_as_many_trials_each(begin: Begin) -> None:
    found = begin(TWO_ROWS)
    assert found.schedule.left() == 6
    runs = []
    while run := found.schedule.next():
        runs.append(run)
        assert found.schedule.left() == 6 - len(runs)
    assert [row_of(run) for run in runs] == ["plain", "kernel"] * 3
    assert [run.row for run in runs[::2]] == [f"plain trial {number}" for number in range(3)]
    assert {run.config.stream for run in runs} == {"search"}
    for run in reversed(runs):  # they end in any order
        found.end(run, 30.0)
    assert [counts(found, row) for row in ("plain", "kernel")] == [(3, 0, 0)] * 2
    assert found.schedule.next() is None
    assert found.reopened().schedule.left() == 0


def test_a_row_that_is_behind_goes_first(begin: Begin) -> None:
    found = begin(TWO_ROWS)
    runs = [run for _ in range(2) if (run := found.schedule.next())]
    for run in runs:
        found.end(run, 30.0) if row_of(run) == "plain" else found.schedule.failed(run, "RuntimeError: no")
    found = found.reopened()
    after = found.schedule.next()
    assert after
    assert row_of(after) == "kernel"


def test_trials_end_as_they_ended(begin: Begin) -> None:
    found = begin({**TWO_ROWS, "search": {**TWO_ROWS["search"], "trials": 4}})
    runs = []
    while run := found.schedule.next():
        runs.append(run)
    whole, behind, broken, lost = (run for run in runs if row_of(run) == "plain")
    assert found.schedule.validated(whole, 10, 40.0) in (True, False)
    found.end(whole, 30.0)
    found.schedule.stopped(behind)
    found.schedule.failed(broken, "RuntimeError: no")
    assert counts(found) == (1, 1, 1)
    assert found.schedule.left() == 0
    found.schedule.requeue(lost, "its worker was gone")
    assert (found.schedule.left(), counts(found)) == (1, (1, 1, 1))
    assert found.schedule.next() == lost
    assert found.schedule.next() is None
    found.end(lost, 35.0)
    best = found.studies["plain"].best(3)[0]
    assert (best.score, best.values["rate"]) == (30.0, whole.config.training.learning_rate)


def test_the_next_launch_makes_up_for_what_failed(begin: Begin) -> None:
    found = begin(TWO_ROWS)
    while run := found.schedule.next():
        if row_of(run) == "plain":
            found.schedule.failed(run, "interrupted")
        else:
            found.end(run, 30.0)
    assert (found.schedule.left(), counts(found)) == (0, (0, 0, 3))  # a row whose trials all fail comes to an end
    again = found.reopened()
    assert again.schedule.left() == 3
    rows = Counter[str]()
    while run := again.schedule.next():
        rows[row_of(run)] += 1
        again.end(run, 30.0)
    assert rows == {"plain": 3}
    assert counts(again) == (3, 0, 3)


def test_the_next_launch_goes_on_with_what_was_interrupted(begin: Begin) -> None:
    found = begin(TWO_ROWS)
    runs = [run for _ in range(4) if (run := found.schedule.next())]
    found.end(runs[0], 30.0)
    found.schedule.requeue(runs[1], "interrupted")  # the others were running when the launch was killed
    for _ in range(2):  # and so was the next
        found = found.reopened()
        assert found.schedule.left() == 5
        again = [run for _ in range(5) if (run := found.schedule.next())]
        assert {run.fingerprint for run in runs[1:]} <= {run.fingerprint for run in again}
    assert len({run.fingerprint for run in again}) == 5
    assert found.schedule.next() is None


def test_a_grid_has_a_trial_for_each_point_that_can_be_built_and_is_resumed(begin: Begin) -> None:
    """Choices of components, and all whole numbers; 3 heads do not divide 64 channels."""
    norms = [{"name": "gate"}, "none", "depth"]
    space = {"norm": {"choices": norms}, "heads": {"from": 1, "to": 4}}
    row = {"attention": {"name": "multi_token", "norm": "$norm"}, "model.heads": "$heads"}
    file = {"search": {"sampler": "grid", "space": space}, "rows": {"plain": row, "fixed": {}}}
    found = begin(file)
    assert found.schedule.left() == 9
    found.schedule.ask_again()
    first = [run for _ in range(5) if (run := found.schedule.next())]
    for run in first[:3]:
        found.end(run, 30.0)
    found.schedule.failed(first[3], "RuntimeError: no")  # the fifth was running when the launch was killed
    found = found.reopened()
    found.schedule.ask_again()
    assert found.schedule.left() == 6
    rest = []
    while run := found.schedule.next():
        rest.append(run)
        found.end(run, 30.0)
    points = {(run.config.attention.norm.name, run.config.model.heads) for run in (*first[:3], *rest)}  # type: ignore[attr-defined]
    assert points == {(norm, heads) for norm in ("gate", "none", "depth") for heads in (1, 2, 4)}
    assert len(rest) == 6
    assert {one.state for one in found.studies["plain"].tried()} == {"complete", "failed"}
    assert counts(found) == (9, 0, 1)


def test_values_that_failed_for_good_are_not_tried_again(begin: Begin) -> None:
    found = begin(TWO_VALUES)
    first = found.schedule.next()
    assert first
    failure = Failure(fingerprint=first.fingerprint, label=first.label, reason="RuntimeError: no", traceback="")
    found.records.fail(failure)
    found.schedule.failed(first, failure.reason)
    others = []
    while run := found.schedule.next():
        others.append(run.fingerprint)
    assert first.fingerprint not in others


def test_values_that_cannot_be_built_fail_their_trial_and_the_search_goes_on(begin: Begin) -> None:
    found = begin(HEADS)
    built = []
    while run := found.schedule.next():
        built.append(run.config.model.heads)
        found.end(run, 30.0)
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
    runs = []
    while run := found.schedule.next():
        runs.append(run)
    assert 1 <= len(runs) == len({run.fingerprint for run in runs}) <= 2
    assert counts(found) == (0, 0, 6 - len(runs))
    for run in runs:
        found.end(run, 30.0)
    assert counts(found) == (len(runs), 0, 6 - len(runs))


def test_more_trials_than_before_are_only_the_difference(begin: Begin, tmp_path: Path) -> None:
    found = begin(TWO_ROWS)
    while run := found.schedule.next():
        found.end(run, 30.0)
    load(tmp_path, {**TWO_ROWS, "search": {**TWO_ROWS["search"], "trials": 5}})
    more = searched(load_sweep(str(tmp_path / "norms.yaml"), scale="nano"), found.records)
    assert more.schedule.left() == 4
    rows = []
    while run := more.schedule.next():
        rows.append(run.row)
    assert rows == ["plain trial 3", "kernel trial 3", "plain trial 4", "kernel trial 4"]  # and none repeats another


def test_runs_that_were_requeued_start_next_in_their_order(tmp_path: Path) -> None:
    """Whatever is known of how long rows take, and whatever their seeds."""
    sweep = load(tmp_path, {"rows": {row: {"model.heads": heads} for row, heads in (("a", 1), ("b", 2), ("c", 4))}})
    runs = SweepQueue([run_of(run) for run in sweep.runs()], Study(tmp_path / "optuna.journal", "table", pytest.fail))
    started = [run for _ in range(4) if (run := runs.next())]
    first, second, third, fourth = started
    for done in (first, fourth):  # the times of their rows are known now, and others go first
        runs.finished(done, example_record(done.fingerprint, 30.0, done.config))
    runs.requeue(third, "its worker was gone")
    runs.requeue(second, "out of memory")
    assert runs.left() == 9 - 2
    assert [runs.next(), runs.next()] == [third, second]
    after = runs.next()
    assert after
    runs.requeue(after, "interrupted")
    assert runs.next() == after
    rest = []
    while run := runs.next():
        rest.append(run)
    assert len({run.fingerprint for run in [*started, after, *rest]}) == 9
    assert runs.left() == 0
