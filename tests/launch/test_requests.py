"""Requests to a launch that runs: to stop a run and go on with the rest, to train more seeds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.executors import base
from mta_lab.lab.launches import launch_plan
from mta_lab.lab.requests import extend
from mta_lab.launch.events import Event, Listener, RunProgressed, RunStarted, RunStopped
from mta_lab.launch.guards import only_launch
from mta_lab.launch.outlook import Outlook
from mta_lab.launch.queue import SweepQueue
from mta_lab.launch.requests import ask_for_seeds, ask_to_stop, forget_requests, taken_seeds
from mta_lab.planning.runs import identified
from mta_lab.results.records import Records
from mta_lab.scheduling import Study
from mta_lab.training.result import Progress
from tests.launch.conftest import Launched, Log, planned
from tests.launch.sweeps import write_sweep
from tests.launch.test_events import STEPS, Heard, Runs, launched, well
from tests.test_sweep import load


class Asking:
    """Asks for runs to be stopped as soon as the first run has made a step."""

    def __init__(self, folder: Path, *fingerprints: str) -> None:
        self.folder, self.fingerprints = folder, fingerprints

    def hear(self, event: Event, outlook: Outlook) -> None:
        if isinstance(event, RunProgressed):
            for fingerprint in self.fingerprints:
                ask_to_stop(self.folder, fingerprint)
            self.fingerprints = ()


def long(request: base.RunRequest, start: int) -> Iterator[base.RunEvent | None]:
    """An attempt that does not end before it is stopped."""
    yield base.Progressed(progress=Progress(step=1, loss=2.0))
    while True:
        yield None


def stopped(heard: Heard) -> list[tuple[str, int | None, int]]:
    return [(event.run.row, event.slot, event.step) for event in heard.events if isinstance(event, RunStopped)]


def test_a_running_run_is_kept_and_the_next_one_starts(tmp_path: Path) -> None:
    queue = Runs("first", "second")
    first = queue.first

    def script(request: base.RunRequest, start: int) -> Iterator[base.RunEvent | None]:
        return (long if request.config.seed == 0 else well)(request, start)

    heard = launched(tmp_path, queue, script, Asking(tmp_path, first))
    assert stopped(heard) == [("first", 0, 1)]
    assert heard.names("RunProgressed")[-2:] == ["RunFinished", "LaunchEnded"]
    assert not Records(tmp_path).has_finished(first)
    assert Records(tmp_path).failed(first) is None
    assert heard.outlooks[-1].ended == 2
    assert heard.outlooks[-1].steps == 1 + STEPS


def test_a_run_that_has_not_started_is_left_out(tmp_path: Path) -> None:
    queue = Runs("first", "second", "third")
    heard = launched(tmp_path, queue, well, Asking(tmp_path, queue.waiting[1].fingerprint))
    assert stopped(heard) == [("second", None, 0)]
    assert [event.run.row for event in heard.events if isinstance(event, RunStarted)] == ["first", "third"]
    assert heard.outlooks[-1].steps == 2 * STEPS


def test_what_was_asked_of_another_launch_stops_nothing(tmp_path: Path) -> None:
    queue = Runs("first")
    ask_to_stop(tmp_path, queue.first)
    forget_requests(tmp_path)
    assert stopped(launched(tmp_path, queue, well)) == []


def test_what_was_asked_while_the_search_ran_holds_for_the_table(tmp_path: Path) -> None:
    queue = Runs("first", "second")
    launched(tmp_path, Runs("trial"), well, Asking(tmp_path, queue.waiting[1].fingerprint))
    assert stopped(launched(tmp_path, queue, well)) == [("second", None, 0)]


def test_a_launch_that_is_refused_leaves_the_requests_to_the_one_that_runs(moody: Path) -> None:
    task = {"name": "find_block", "letters": 3, "blocks": 2, "held_out": 12}
    found = planned(write_sweep(moody.parent / "two.yaml", {"plain": {}}, task=task, model={"vocabulary": 28}))
    with only_launch(found.records.directory):
        ask_for_seeds(found.records.directory, found.sweep.shown_as, 6)
        with pytest.raises(UserError, match="another sweep is running here"):
            launch_plan(found, 1)
    assert taken_seeds(found.records.directory, found.sweep.shown_as) == 6


def test_stages_that_would_start_from_a_stopped_run_wait_with_it(tmp_path: Path) -> None:
    stages = {"longer": {"times": {"model.context": 2}}}
    file = {"seeds": 1, "stages": stages, "rows": {"a": {}, "b": {"stages": ["longer"]}}}
    runs = identified(load(tmp_path, file), lambda run: "text")
    said: list[str] = []
    parent, stage = next((run.parent, run) for run in runs if run.parent)
    assert parent
    queue = SweepQueue([parent, stage], Study(tmp_path / "journal", "table", pytest.fail), said.append)
    assert queue.next() == parent
    queue.set_aside(parent)
    assert queue.left() == 0
    assert said == ["a seed 0 is stopped, and with it what starts from it: b seed 0"]


def test_seeds_are_asked_of_the_launch_of_one_sweep_and_once(tmp_path: Path) -> None:
    ask_for_seeds(tmp_path, "table-nano", 6)
    assert taken_seeds(tmp_path, "other-nano") == 0
    assert taken_seeds(tmp_path, "table-nano") == 6
    assert taken_seeds(tmp_path, "table-nano") == 0


@pytest.mark.slow
def test_a_launch_goes_on_with_the_seeds_that_were_asked_for_while_it_ran(moody: Path) -> None:
    """And shows one table of them all."""
    task = {"name": "find_block", "letters": 3, "blocks": 2, "held_out": 12}
    file = write_sweep(moody.parent / "more.yaml", {"plain": {}}, seeds=1, task=task, model={"vocabulary": 28})
    launched, found = Launched(folder=moody.parent, status=-1, output=""), planned(file)

    class Asked(Log):
        @contextmanager
        def launch(self) -> Iterator[Listener]:
            if not self.launched.events:
                extend(replace(found, sweep=replace(found.sweep, seeds=(0, 1, 2))))
            with super().launch() as inner:
                yield inner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mta_lab.lab.requests.launch_runs", lambda directory: True)  # it begins a moment later
        done = launch_plan(replace(found, display=Asked(launched)), 1)
    assert done.complete
    assert done.plan.sweep.seeds == (0, 1, 2)
    assert done.plan.command.endswith(" --seeds 3")
    assert [run.seed for kind, _, run in launched.events if kind == "ended"] == [0, 1, 2]
