"""The conformance suite of executors: inherit from it in a module with a fixture `subject`.

The fixture has the module's scope.

```
@pytest.fixture(scope="module")
def subject() -> Iterator[Subject]: ...

class TestMine(ExecutorConformance): ...
```
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from mta_lab.config import fingerprint, started_from
from mta_lab.executors.base import (
    Cancelled,
    End,
    Executor,
    Failed,
    Finished,
    Handle,
    Progressed,
    RunEvent,
    RunRequest,
    Started,
)

Behaviour = Literal["quick", "long", "raising", "dying", "hanging", "reporting", "breaking"]
"""of a run: 4 steps, or as many as take minutes; an error,
the death of its process, or no news for ever"""
ENOUGH = 120.0  # seconds in which anything asked for here is long over


@dataclass(frozen=True)
class Subject:
    """An executor of two slots, and what makes new runs for it, no two alike."""

    executor: Executor
    request: Callable[[Behaviour], RunRequest]


class Told:
    """The events of each handle since its submission."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.all: list[tuple[Handle, RunEvent]] = []

    def of(self, handle: Handle) -> list[RunEvent]:
        return [event for about, event in self.all if about is handle]

    def until(self, happened: Callable[[], bool]) -> None:
        """Poll until it has happened."""
        end = time.monotonic() + ENOUGH
        while not happened():
            assert time.monotonic() < end, f"not told in time; told: {[event for _, event in self.all]}"
            self.all += self.executor.poll(0.5)

    def end_of(self, handle: Handle) -> RunEvent:
        """Poll until the run has ended; return its last event."""
        self.until(lambda: any(isinstance(event, End) for event in self.of(handle)))
        assert handle.state == "ended"
        return self.of(handle)[-1]

    def until_heard(self, handle: Handle, times: int = 1) -> None:
        """Poll until the run has told so often how far it is."""
        self.until(lambda: sum(isinstance(event, Progressed) for event in self.of(handle)) >= times)


class Polling:
    """Tests that poll the subject; what they leave running is cancelled after each."""

    @pytest.fixture
    def told(self, subject: Subject) -> Iterator[Told]:
        told = Told(subject.executor)
        yield told
        for handle in {handle: None for handle, _ in told.all}:
            if not any(isinstance(event, End) for event in told.of(handle)):
                subject.executor.cancel(handle, keep=False)
                told.end_of(handle)


class TrainsStages(Polling):
    """Promises of an executor whose runs really train."""

    def test_a_stage_starts_from_the_weights_of_a_finished_run(self, subject: Subject, told: Told) -> None:
        request = subject.request("quick")
        first = told.end_of(subject.executor.submit(request))
        assert isinstance(first, Finished)
        stage = _stage(request, start=request.weights)
        second = told.end_of(subject.executor.submit(stage))
        assert isinstance(second, Finished)
        assert second.result.validations[0].domains == first.result.validations[-1].domains
        assert stage.weights.exists()

    def test_a_stage_whose_weights_are_gone_fails_with_one_line(self, subject: Subject, told: Told) -> None:
        request = subject.request("quick")
        end = told.end_of(subject.executor.submit(_stage(request, start=request.weights)))
        assert isinstance(end, Failed)
        assert f"{request.weights}: the run cannot start from these weights (FileNotFoundError" in end.reason
        assert "\n" not in end.reason


def _stage(request: RunRequest, start: Path) -> RunRequest:
    """Return the request of a stage of no steps."""
    training = replace(request.config.training, steps=0, warmup_steps=0, validations=1)
    config = started_from(request.config, replace(request.config, training=training))
    name = fingerprint(config, "", start.stem)
    folder = request.checkpoints.parent
    return replace(request, config=config, checkpoints=folder / name, weights=folder / f"{name}.pt", start=start)


class ExecutorConformance(Polling):
    """The promises of `executors.base`, test by test.

    No test of its subject may follow: the last one closes it.
    """

    def test_a_run_starts_tells_of_its_steps_and_finishes(self, subject: Subject, told: Told) -> None:
        handle = subject.executor.submit(subject.request("quick"))
        end = told.end_of(handle)
        assert isinstance(end, Finished)
        assert not end.result.stopped_early
        started, *between, _ = told.of(handle)
        assert isinstance(started, Started)
        steps = [event.progress.step for event in between if isinstance(event, Progressed)]
        assert steps == sorted(steps) != []
        assert handle.slot in subject.executor.slots

    def test_slots_say_what_they_have(self, subject: Subject) -> None:
        assert [slot.number for slot in subject.executor.slots] == [0, 1]
        assert all(slot.resources.cores >= 1 for slot in subject.executor.slots)

    def test_the_slot_of_a_run_says_where_it_trains(self, subject: Subject, told: Told) -> None:
        handle = subject.executor.submit(subject.request("quick"))
        told.end_of(handle)
        assert handle.slot in subject.executor.slots
        assert handle.slot
        assert handle.slot.place
        assert all((handle.slot.place.host, handle.slot.place.machine, handle.slot.place.versions["torch"]))

    def test_more_runs_than_slots_wait_and_start_in_order(self, subject: Subject, told: Told) -> None:
        handles = [subject.executor.submit(subject.request("quick")) for _ in range(5)]
        assert handles[-1].state == "queued"
        assert handles[-1].slot is None
        for handle in handles:
            assert isinstance(told.end_of(handle), Finished)
        assert [about for about, event in told.all if isinstance(event, Started)] == handles
        running: dict[int, Handle] = {}
        for handle, event in told.all:  # no slot ever has two
            assert handle.slot
            if isinstance(event, Started):
                assert running.setdefault(handle.slot.number, handle) is handle
            elif isinstance(event, Finished):
                del running[handle.slot.number]

    def test_a_run_that_raises_fails_with_its_traceback(self, subject: Subject, told: Told) -> None:
        end = told.end_of(subject.executor.submit(subject.request("raising")))
        assert isinstance(end, Failed)
        assert end.kind == "exception"
        assert "told to raise" in end.reason
        assert "\n" not in end.reason
        assert "Traceback" in end.traceback

    def test_a_run_whose_process_dies_fails_and_the_slots_go_on(self, subject: Subject, told: Told) -> None:
        requests = [subject.request("dying"), *(subject.request("quick") for _ in range(2))]
        dying, *others = [subject.executor.submit(request) for request in requests]
        end = told.end_of(dying)
        assert isinstance(end, Failed)
        assert end.kind == "killed"
        assert all(isinstance(told.end_of(handle), Finished) for handle in others)

    def test_a_run_cancelled_to_be_kept_goes_on_where_it_was(self, subject: Subject, told: Told) -> None:
        request = subject.request("long")
        first = subject.executor.submit(request)
        told.until_heard(first, times=2)
        subject.executor.cancel(first, keep=True)
        end = told.end_of(first)
        assert isinstance(end, Cancelled)
        assert end.kept
        again = subject.executor.submit(request)
        told.until_heard(again)  # one that began anew would have come half as far
        subject.executor.cancel(again, keep=True)
        later = told.end_of(again)
        assert isinstance(later, Cancelled)
        assert later.step >= end.step > 0

    def test_a_run_cancelled_for_good_ends_and_its_slot_is_free(self, subject: Subject, told: Told) -> None:
        handle = subject.executor.submit(subject.request("long"))
        told.until_heard(handle)
        subject.executor.cancel(handle, keep=False)
        subject.executor.cancel(handle, keep=False)
        end = told.end_of(handle)
        assert isinstance(end, Cancelled)
        assert not end.kept
        subject.executor.cancel(handle, keep=False)
        following = [subject.executor.submit(subject.request("quick")) for _ in range(2)]
        assert all(isinstance(told.end_of(handle), Finished) for handle in following)

    def test_a_run_cancelled_before_it_starts_never_starts(self, subject: Subject, told: Told) -> None:
        long = [subject.executor.submit(subject.request("long")) for _ in range(2)]
        waiting = subject.executor.submit(subject.request("quick"))
        subject.executor.cancel(waiting, keep=True)
        told.end_of(waiting)
        assert told.of(waiting) == [Cancelled(step=0, kept=True)]
        for handle in long:
            told.until_heard(handle)

    def test_a_run_whose_time_is_over_ends_even_where_it_hangs(self, subject: Subject, told: Told) -> None:
        hanging, quick = subject.request("hanging"), subject.request("quick")
        handle = subject.executor.submit(replace(hanging, timeout=0.5))
        end = told.end_of(handle)
        assert isinstance(end, Failed)
        assert end.kind == "timed_out"
        assert isinstance(told.end_of(subject.executor.submit(quick)), Finished)

    def test_time_counts_from_the_start_and_not_from_the_submission(self, subject: Subject, told: Told) -> None:
        long = [subject.executor.submit(subject.request("long")) for _ in range(2)]
        waiting = subject.executor.submit(replace(subject.request("long"), timeout=3.0))
        for handle in long:
            told.until_heard(handle)
        until = time.monotonic() + 3.2
        told.until(lambda: time.monotonic() > until)
        assert waiting.state == "queued"
        subject.executor.cancel(long[0], keep=False)
        end = told.end_of(waiting)
        assert isinstance(told.of(waiting)[0], Started)
        assert isinstance(end, Failed)
        assert end.kind == "timed_out"

    def test_nothing_is_told_while_nothing_happens(self, subject: Subject) -> None:
        assert subject.executor.poll(0.0) == []

    def test_closed_at_once_every_handle_is_ended(self, subject: Subject) -> None:
        """The last one: its subject is of no use after it."""
        told = Told(subject.executor)
        handles = [subject.executor.submit(subject.request("long")) for _ in range(3)]
        told.until_heard(handles[0])
        subject.executor.close()
        assert [handle.state for handle in handles] == ["ended"] * 3
