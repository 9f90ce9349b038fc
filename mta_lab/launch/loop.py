"""The loop of a launch: submit runs in the queue's order, and announce what becomes of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mta_lab.executors import base
from mta_lab.executors.base import Executor, Handle
from mta_lab.launch.events import (
    Announcer,
    LaunchEnded,
    LaunchStarted,
    Outcome,
    RunFailed,
    RunFinished,
    RunProgressed,
    RunPruned,
    RunRequeued,
    RunStarted,
    RunStopped,
    RunValidated,
)
from mta_lab.launch.guards import Interrupt
from mta_lab.launch.queue import Queue
from mta_lab.launch.recording import Recorder
from mta_lab.launch.retries import Retries
from mta_lab.planning.runs import Run
from mta_lab.words import counted

if TYPE_CHECKING:  # imports slowly
    from mta_lab.training.result import Progress, Validation

PATIENCE = 10.0  # seconds that runs have, when a launch is interrupted, to be kept
LOOK = 0.5  # seconds between two looks at an interrupt, at most, and between two at requests, at least


@dataclass
class Submitted:
    """A submitted run that has not ended."""

    run: Run
    handle: Handle
    step: int | None = None
    """the last one that was heard of"""
    validation: "Validation | None" = None
    """the last one"""

    @property
    def slot(self) -> int:
        """The number of its slot; it has started."""
        assert self.handle.slot
        return self.handle.slot.number


class LaunchLoop:
    """The state of a launch: what is submitted, and what becomes of it."""

    def __init__(
        self, queue: Queue, executor: Executor, announcer: Announcer, recorder: Recorder, retries: Retries
    ) -> None:
        """Begin with nothing submitted."""
        self._queue, self._executor, self._recorder = queue, executor, recorder
        self._retries = retries
        self._announce, self._say = announcer.announce, announcer.say
        self._submitted: dict[Handle, Submitted] = {}
        self._failed = False
        self._said: set[tuple[str, str]] = set()
        self._patient_until: float | None = None
        self._set_aside = set[str]()  # fingerprints of runs that were stopped by hand
        self._looked = 0.0  # when it last looked for requests to stop runs

    @contextmanager
    def announced(self, started: LaunchStarted) -> Iterator[None]:
        """Announce the launch, and at the end of the context how it ended.

        If interrupted, requeue what is submitted.
        """
        self._announce(started)
        try:
            with Interrupt() as self._interrupt:
                yield
        except BaseException:
            for told in self._submitted.values():
                slot = told.handle.slot.number if told.handle.slot else None
                self._announce(RunRequeued(run=told.run, slot=slot, reason="interrupted"))
            self._announce(LaunchEnded(outcome="interrupted"))
            raise
        outcome: Outcome = "failed" if self._failed else "finished"
        self._announce(LaunchEnded(outcome=outcome))

    def until_done(self) -> None:
        """Submit and answer until no run is left; raise KeyboardInterrupt if interrupted."""
        self._set_aside = self._recorder.stops()  # perhaps while the search ran that is before this
        self.submit()
        while self._submitted or self._queue.left():
            for handle, event in self._executor.poll(LOOK):
                if told := self._submitted.get(handle):  # else its run was given away
                    self._hear(told, event)
            if time.monotonic() > self._looked + LOOK:  # a look reads a directory, and events come by the thousand
                self._look_for_requests()
            self.submit()
            if self._interrupt.asked and self._stopped():
                raise KeyboardInterrupt

    def submit(self) -> None:
        """Submit as many runs as there are slots, and no more.

        The best run to start next is known late.
        """
        if self._interrupt.asked:
            return
        while len(self._submitted) < len(self._executor.slots) and (run := self._queue.next()):
            self._look_for_requests()
            if run.fingerprint in self._set_aside:
                self._announce(RunStopped(run=run, slot=None, step=0))
                continue
            handle = self._executor.submit(self._recorder.request(run, self._retries.micro_batch(run)))
            self._submitted[handle] = Submitted(run, handle)

    def prune(self, run: Run) -> None:
        """End a run early, and do not keep it."""
        for told in self._submitted.values():
            if told.run is run:
                self._executor.cancel(told.handle, keep=False)

    def _look_for_requests(self) -> None:
        """Stop the runs that somebody asked to be stopped since the last look."""
        self._looked = time.monotonic()
        asked = self._recorder.stops() - self._set_aside
        if not asked:  # nearly always: so a look costs the same however many runs are submitted
            return
        self._set_aside |= asked
        for told in self._submitted.values():
            if told.run.fingerprint in asked:
                self._executor.cancel(told.handle, keep=True)

    def _hear(self, told: Submitted, event: base.RunEvent) -> None:
        if isinstance(event, base.Started):
            slot = told.handle.slot
            self._announce(RunStarted(run=told.run, slot=told.slot, place=slot.place if slot else None))
        elif isinstance(event, base.Progressed):
            self._progressed(told, event.progress)
        elif isinstance(event, base.Note):
            self._say(f"worker {told.slot}: {told.run.label} {event.text}")
        else:
            del self._submitted[told.handle]
            if isinstance(event, base.Finished):
                assert told.handle.slot
                record = self._recorder.record(told.run, event.result, threads=told.handle.slot.resources.cores)
                self._announce(RunFinished(run=told.run, slot=told.slot, record=record))
            elif isinstance(event, base.Cancelled):
                self._cancelled(told, event)
            else:
                self._ended_badly(told, event)

    def _progressed(self, told: Submitted, progress: "Progress") -> None:
        told.step = progress.step
        for choice in progress.implementations.items():
            if choice not in self._said:
                self._said.add(choice)
                self._say("attention computed by {}: {}".format(*choice))
        self._announce(RunProgressed(run=told.run, slot=told.slot, progress=progress))
        if progress.validation:
            told.validation = progress.validation
            self._announce(RunValidated(run=told.run, slot=told.slot, validation=progress.validation))

    def _cancelled(self, told: Submitted, event: base.Cancelled) -> None:
        if not event.kept and told.validation:
            self._announce(RunPruned(run=told.run, slot=told.slot, validation=told.validation))
            return
        slot = told.handle.slot.number if told.handle.slot else None
        if told.run.fingerprint in self._set_aside:
            self._announce(RunStopped(run=told.run, slot=slot, step=event.step))
            return
        reason = f"interrupted at step {event.step}"
        self._announce(RunRequeued(run=told.run, slot=slot, reason=reason, step=event.step))

    def _ended_badly(self, told: Submitted, event: base.Failed) -> None:
        again = self._retries.again(told.run, event)
        failure = self._recorder.failure(told.run, event, told.step, final=not again)
        if again:
            if event.kind == "out_of_memory" and (fewer := self._retries.micro_batch(told.run)):
                reads = f"the next attempt reads {counted(fewer, 'sequence')} at a time"
                self._say(f"{told.run.label}: out of memory; {reads}")
            self._announce(RunRequeued(run=told.run, slot=told.slot, reason=failure.reason, failure=failure))
            return
        self._failed = True
        self._announce(RunFailed(run=told.run, slot=told.slot, failure=failure))

    def _stopped(self) -> bool:
        """Ask for the running runs to be kept where they are.

        Return whether all are kept, or have had the time for it.
        """
        if self._patient_until is None:
            self._patient_until = time.monotonic() + PATIENCE
            self._say(f"stopping: what runs is kept, within {PATIENCE:.0f} s; once more stops at once")
            for handle in self._submitted:
                self._executor.cancel(handle, keep=True)
        return not self._submitted or time.monotonic() > self._patient_until
