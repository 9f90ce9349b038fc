"""What happens while a launch runs: runs are submitted as the queue says, results are recorded and tracked."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mta_lab.executors.base import (
    Cancelled,
    Executor,
    Failed,
    Finished,
    Handle,
    Note,
    Progressed,
    RunEvent,
    RunRequest,
    Started,
)
from mta_lab.launch.attempts import Attempts
from mta_lab.launch.guards import Interrupt
from mta_lab.launch.queue import Queue
from mta_lab.launch.recording import record_of
from mta_lab.launch.tracked import entry_of, launch_of
from mta_lab.masking import masked
from mta_lab.planning.runs import Run
from mta_lab.results.records import Failure, Record, Records
from mta_lab.sweep import Sweep
from mta_lab.tracking.entries import LaunchSummary

if TYPE_CHECKING:  # imports slowly
    from mta_lab.tracking.tracker import Tracker
    from mta_lab.training.result import Progress, TrainingResult, Validation

PATIENCE = 10.0  # seconds that runs have, when a launch is interrupted, to be kept
LOOK = 0.5  # seconds between two looks at an interrupt, at most


class Observer(Protocol):
    """Whoever shows a launch to a person."""

    def say(self, message: str) -> None:
        """A line worth reading."""

    def started(self, worker: int, run: Run) -> None:
        """A worker took a run."""

    def advanced(self, worker: int, run: Run, progress: "Progress") -> None:
        """A run has come further."""

    def ended(self, worker: int, run: Run, result: Record | Failure) -> None:
        """A run finished or failed."""

    def stopped(self, worker: int, run: Run, last: "Validation") -> None:
        """A trial was ended early, for what it scored last."""

    def released(self, worker: int) -> None:
        """A worker is off its run, which is to be tried again or gone on with."""


@dataclass
class Submitted:
    """A submitted run that has not ended."""

    run: Run
    handle: Handle
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
        self,
        sweep: Sweep,
        schedule: Queue,
        records: Records,
        corpus_root: Path,
        observer: Observer,
        executor: Executor,
        tracker: "Tracker",
        trial_timeout: float | None,
    ) -> None:
        self.sweep, self.schedule, self.records, self.corpus_root = sweep, schedule, records, corpus_root
        self.observer, self.executor, self.tracker, self.trial_timeout = observer, executor, tracker, trial_timeout
        self.submitted: dict[Handle, Submitted] = {}
        self.attempts = Attempts(sweep.retry)
        self.failures = 0
        self.said: set[tuple[str, str]] = set()
        self.patient_until: float | None = None

    @contextmanager
    def tracked(self, shown: Callable[[], LaunchSummary]) -> Iterator[None]:
        """A parent run of MLflow's that ends with `shown()`; interrupted, with its note alone, and what runs closed."""
        self.tracker.start(launch_of(self.sweep))
        try:
            with Interrupt() as self.interrupt:
                yield
        except BaseException:
            self._requeue_all()
            self._end_tracking("KILLED", lambda: LaunchSummary(shown().note))
            raise
        self._end_tracking("FAILED" if self.failures else "FINISHED", shown)

    def _end_tracking(self, status: str, shown: Callable[[], LaunchSummary]) -> None:
        """Close the launch's run, also where making its table fails."""
        found = LaunchSummary()
        try:
            found = shown()
        finally:
            self.tracker.end(status, found)

    def until_done(self) -> None:
        """Submit and answer until nothing is left and nothing runs; raise KeyboardInterrupt if interrupted."""
        self._submit()
        while self.submitted or self.schedule.left():
            for handle, event in self.executor.poll(LOOK):
                self._hear(self.submitted[handle], event)
            if not self.interrupt.asked:
                self._submit()
            elif self._stopped():
                raise KeyboardInterrupt
        if (share := self.attempts.busy_share(len(self.executor.slots))) is not None:
            self.observer.say(f"the workers were busy {share:.1%} of the time from the first run's start on")

    def _submit(self) -> None:
        """Submit as many runs as there are slots, and no more: what is best to run next is known late."""
        while len(self.submitted) < len(self.executor.slots) and (run := self.schedule.next()):
            request = RunRequest(
                config=run.config,
                corpus_root=self.corpus_root,
                checkpoints=self.records.checkpoints(run.fingerprint),
                weights=self.records.weights(run.fingerprint),
                timeout=self.trial_timeout,
            )
            handle = self.executor.submit(request)
            self.submitted[handle] = Submitted(run, handle)

    def _hear(self, told: Submitted, event: RunEvent) -> None:
        if isinstance(event, Started):
            self.attempts.start(told.slot)
            self.tracker.start_run(entry_of(self.sweep, told.run))
            self.observer.started(told.slot, told.run)
        elif isinstance(event, Progressed):
            self._advanced(told, event.progress)
        elif isinstance(event, Note):
            self.observer.say(f"worker {told.slot}: {told.run.label} {event.text}")
        elif isinstance(event, Finished):
            self._finished(told, event.result)
        elif isinstance(event, Cancelled):
            self._cancelled(told, event)
        elif isinstance(event, Failed):
            self._failed(told, event)

    def _ended(self, told: Submitted) -> Run:
        """Return the run, which has ended; its slot is free."""
        if told.handle.slot:
            self.attempts.end(told.slot)
        return self.submitted.pop(told.handle).run

    def _requeue_all(self) -> None:
        """Close what is submitted as interrupted; the next launch trains it."""
        for told in self.submitted.values():
            self.schedule.requeue(told.run, "interrupted")
            self.tracker.kill_run(told.run.fingerprint)

    def _stopped(self) -> bool:
        """Ask for what runs to be kept where it is; return whether all of it is, or has had the time to."""
        if self.patient_until is None:
            self.patient_until = time.monotonic() + PATIENCE
            self.observer.say(f"stopping: what runs is kept, within {PATIENCE:.0f} s; once more stops at once")
            for handle in self.submitted:
                self.executor.cancel(handle, keep=True)
        return not self.submitted or time.monotonic() > self.patient_until

    def _cancelled(self, told: Submitted, event: Cancelled) -> None:
        run = self._ended(told)
        if not event.kept and told.validation:
            self.observer.stopped(told.slot, run, told.validation)
            if not self.interrupt.asked:
                self._submit()
            self.schedule.stopped(run)
            self.records.forget_checkpoints(run.fingerprint)
            self.tracker.kill_run(run.fingerprint, trial_state="PRUNED")
            return
        reason = f"interrupted at step {event.step}"
        if told.handle.slot:
            self.observer.say(f"worker {told.slot}: {run.label} {reason}, goes on from there")
            self.observer.released(told.slot)
            self.tracker.kill_run(run.fingerprint)
        self.schedule.requeue(run, reason)

    def _advanced(self, told: Submitted, progress: "Progress") -> None:
        run = told.run
        self.attempts.advance(told.slot, progress.step)
        for choice in progress.implementations.items():
            if choice not in self.said:
                self.said.add(choice)
                self.observer.say("attention computed by {}: {}".format(*choice))
        self.tracker.progress(run.fingerprint, progress)
        self.observer.advanced(told.slot, run, progress)
        if progress.validation:
            told.validation = progress.validation
            if self.schedule.validated(run, progress.step, progress.validation.score):
                self.executor.cancel(told.handle, keep=False)

    def _finished(self, told: Submitted, result: "TrainingResult") -> None:
        run = self._ended(told)
        assert told.handle.slot
        record = record_of(
            run,
            result,
            run_id=self.tracker.run_id(run.fingerprint),
            threads=told.handle.slot.resources.cores,
            attempts=self.records.attempts(run.fingerprint),
        )
        self.records.finish(record)
        self.observer.ended(told.slot, run, record)
        if not self.interrupt.asked:
            self._submit()  # before the copies for Optuna and MLflow are written: no slot waits for those
        self.schedule.finished(run, record)
        self.tracker.finish_run(record)

    def _failed(self, told: Submitted, event: Failed) -> None:
        run, reason = self._ended(told), masked(event.reason)
        attempt, again = self.attempts.failed(told.slot, run.fingerprint, event.kind, reason)
        failure = Failure(
            fingerprint=run.fingerprint,
            label=run.label,
            kind=event.kind,
            reason=reason,
            traceback=masked(event.traceback),
            attempts=(*self.records.attempts(run.fingerprint), attempt),
            final=not again,
        )
        self.records.fail(failure)
        if again:
            self.observer.say(f"worker {told.slot}: {run.label} {event.kind}: {reason}; it is tried again")
            self.observer.released(told.slot)
            self.schedule.requeue(run, reason)
            self.tracker.kill_run(run.fingerprint, failure=event.kind, reason=reason)
            return
        self.failures += 1
        self.schedule.failed(run, reason)
        self.tracker.fail_run(failure)
        self.observer.ended(told.slot, run, failure)
