"""What happens while a launch runs: workers are handed what the schedule says, results are recorded and tracked."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mta_lab.errors import UserError
from mta_lab.failures import Kind
from mta_lab.masking import masked
from mta_lab.records import Failure, Record, Records
from mta_lab.sweep import Sweep
from mta_lab.tracking.entries import Shown
from mta_lab.words import duration
from mta_lab.worker.attempts import Attempts
from mta_lab.worker.entries import entry_of, launch_of
from mta_lab.worker.guards import Interrupt
from mta_lab.worker.messages import Advanced, Died, Failed, Finished, Interrupted, Job, Said, Stop
from mta_lab.worker.pool import Pool
from mta_lab.worker.results import record_of
from mta_lab.worker.schedules import Schedule
from mta_lab.worker.tasks import Task

if TYPE_CHECKING:  # imports slowly
    from mta_lab.tracking.tracker import Tracker
    from mta_lab.training.result import Progress, TrainingResult, Validation

PATIENCE = 10.0  # seconds that workers have, when a launch is interrupted, to keep what they run
STARTS = 3  # deaths of a worker and those in its place, in a row and before they were ready, that end a launch;
PATIENT_STARTS = 15  # where the last was killed from outside, which says little of the next


class Observer(Protocol):
    """Whoever shows a launch to a person."""

    def say(self, message: str) -> None:
        """A line worth reading."""

    def started(self, worker: int, task: Task) -> None:
        """A worker took a cell."""

    def advanced(self, worker: int, task: Task, progress: "Progress") -> None:
        """A cell has come further."""

    def ended(self, worker: int, task: Task, result: Record | Failure) -> None:
        """A cell finished or failed."""

    def stopped(self, worker: int, task: Task, last: "Validation") -> None:
        """A trial was ended early, for what it scored last."""

    def released(self, worker: int) -> None:
        """A worker is off its cell, which is to be tried again or gone on with."""


class Running:
    """The state of a launch: which worker runs what, and what becomes of it."""

    def __init__(
        self,
        sweep: Sweep,
        schedule: Schedule,
        records: Records,
        corpus_root: Path,
        observer: Observer,
        pool: Pool,
        tracker: "Tracker",
        trial_timeout: float | None,
    ) -> None:
        self.sweep, self.schedule, self.records, self.corpus_root = sweep, schedule, records, corpus_root
        self.observer, self.pool, self.tracker = observer, pool, tracker
        self.running: dict[int, Task] = {}
        self.attempts = Attempts(sweep.retry, trial_timeout)
        self.ready: set[int] = set()
        self.stillborn = Counter[int]()
        self.failures = 0
        self.said: set[tuple[str, str]] = set()
        self.patient_until: float | None = None

    @contextmanager
    def tracked(self, shown: Callable[[], Shown]) -> Iterator[None]:
        """A parent run of MLflow's that ends with `shown()`; interrupted, with its note alone, and what runs closed."""
        self.tracker.start(launch_of(self.sweep))
        try:
            with Interrupt() as self.interrupt:
                yield
        except BaseException:
            self._give_back()
            self._end_tracking("KILLED", lambda: Shown(shown().note))
            raise
        self._end_tracking("FAILED" if self.failures else "FINISHED", shown)

    def _end_tracking(self, status: str, shown: Callable[[], Shown]) -> None:
        """Close the launch's run, also where making its table fails."""
        found = Shown()
        try:
            found = shown()
        finally:
            self.tracker.end(status, found)

    def until_done(self) -> None:
        """Answer the workers until nothing is left and nothing runs; raise KeyboardInterrupt if interrupted."""
        for worker, message in self.pool.messages():
            if isinstance(message, Advanced):
                self._advanced(worker, message.progress)
            elif isinstance(message, Said):
                self.observer.say(f"worker {worker}: {self.running[worker].cell.label} {message.text}")
            elif isinstance(message, Interrupted):
                self._interrupted(worker, message.step)
            elif isinstance(message, Finished):
                self._finished(worker, message.result)
            elif isinstance(message, Failed):
                self._failed(worker, message.kind, message.reason, message.traceback)
                self._start_next(worker)
            elif isinstance(message, Died):
                self._buried(worker, message)
            elif message is not None:
                self.ready.add(worker)
                self.stillborn[worker] = 0
                self._start_next(worker)
            if not self.interrupt.asked:
                for late in self.attempts.late(self.running):
                    self.pool.kill(late)
            if self.interrupt.asked and self._stopped():
                raise KeyboardInterrupt
            if not self.running and not self.schedule.left():
                if (share := self.attempts.busy_share(len(self.pool))) is not None:
                    self.observer.say(f"the workers were busy {share:.1%} of the time from the first cell's start on")
                return

    def _take_back(self, worker: int) -> Task:
        """Return the task that the worker ran and that has ended; the worker is free."""
        self.attempts.end(worker)
        return self.running.pop(worker)

    def _give_back(self) -> None:
        """Close what runs as interrupted; the next launch trains it."""
        for task in self.running.values():
            self.schedule.put_back(task, "interrupted")
            self.tracker.kill_cell(task.fingerprint)

    def _stopped(self) -> bool:
        """Ask what runs to stop and keep where it is; whether all of it has, or has had the time to."""
        if self.patient_until is None:
            self.patient_until = time.monotonic() + PATIENCE
            self.observer.say(f"stopping: what runs is kept, within {PATIENCE:.0f} s; once more stops at once")
            for worker in self.running:
                with suppress(OSError):  # it died, and the pool will say so
                    self.pool.send(worker, Stop(keep=True))
        return not self.running or time.monotonic() > self.patient_until

    def _interrupted(self, worker: int, step: int) -> None:
        task = self._take_back(worker)
        reason = f"interrupted at step {step}"
        self.observer.say(f"worker {worker}: {task.cell.label} {reason}, goes on from there")
        self.observer.released(worker)
        self.schedule.put_back(task, reason)
        self.tracker.kill_cell(task.fingerprint)

    def _start_next(self, worker: int) -> None:
        if self.interrupt.asked or worker in self.attempts.overdue:
            return
        task = self.schedule.next()
        if task is None:
            return
        cell = task.cell
        try:
            job = Job(
                config=cell.config,
                corpus_root=self.corpus_root,
                checkpoints=self.records.checkpoints(task.fingerprint),
                weights=self.records.weights(task.fingerprint),
            )
            self.pool.send(worker, job)
        except OSError:  # it died since its last word, and the pool will say so
            self.schedule.put_back(task, "its worker was gone")
            return
        self.running[worker] = task
        self.attempts.start(worker)
        self.tracker.start_cell(entry_of(self.sweep, task))
        self.observer.started(worker, task)

    def _advanced(self, worker: int, progress: "Progress") -> None:
        task = self.running[worker]
        self.attempts.advance(worker, progress.step)
        for choice in progress.implementations.items():
            if choice not in self.said:
                self.said.add(choice)
                self.observer.say("attention computed by {}: {}".format(*choice))
        self.tracker.progress(task.fingerprint, progress)
        self.observer.advanced(worker, task, progress)
        if progress.validation and self.schedule.validated(task, progress.step, progress.validation.score):
            with suppress(OSError):  # it died since, and the pool will say so
                self.pool.send(worker, Stop())

    def _finished(self, worker: int, result: "TrainingResult") -> None:
        task = self._take_back(worker)
        last = result.validations[-1]
        if result.stopped_early:
            self.observer.stopped(worker, task, last)
            self._start_next(worker)
            self.schedule.stopped(task)
            self.records.forget_checkpoints(task.fingerprint)
            self.tracker.kill_cell(task.fingerprint, trial_state="PRUNED")
            return
        record = record_of(
            task,
            result,
            run_id=self.tracker.run_id(task.fingerprint),
            threads=self.pool.threads,
            attempts=self.records.attempts(task.fingerprint),
        )
        self.records.finish(record)
        self.observer.ended(worker, task, record)
        self._start_next(worker)  # before the copies for Optuna and MLflow are written: no worker waits for those
        self.schedule.finished(task, record)
        self.tracker.end_cell(record)

    def _buried(self, worker: int, message: Died) -> None:
        if worker in self.running:
            kind, reason = message.kind, message.reason
            if worker in self.attempts.overdue:
                kind, reason = "timed_out", f"no end within {duration(self.attempts.timeout or 0)} (--trial-timeout)"
            self._failed(worker, kind, reason, message.printed[-4000:])
        elif worker not in self.ready:
            self.stillborn[worker] += 1
            limit = STARTS if message.by_itself else PATIENT_STARTS
            if self.stillborn[worker] >= limit:
                times = f"{self.stillborn[worker]} times in a row"
                raise UserError(f"a worker could not start, {times}: {message.reason}; see {message.log}")
        self.attempts.overdue.discard(worker)
        self.ready.discard(worker)
        for idle in self.ready - self.running.keys():  # what it ran need not wait for the one in its place
            self._start_next(idle)

    def _failed(self, worker: int, kind: Kind, reason: str, traceback: str) -> None:
        task, reason = self._take_back(worker), masked(reason)
        attempt, again = self.attempts.failed(worker, task.fingerprint, kind, reason)
        failure = Failure(
            fingerprint=task.fingerprint,
            label=task.cell.label,
            kind=kind,
            reason=reason,
            traceback=masked(traceback),
            attempts=(*self.records.attempts(task.fingerprint), attempt),
            final=not again,
        )
        self.records.fail(failure)
        if again:
            self.observer.say(f"worker {worker}: {task.cell.label} {kind}: {reason}; it is tried again")
            self.observer.released(worker)
            self.schedule.put_back(task, reason)
            self.tracker.kill_cell(task.fingerprint, failure=kind, reason=reason)
            return
        self.failures += 1
        self.schedule.failed(task, reason)
        self.tracker.fail_cell(failure)
        self.observer.ended(worker, task, failure)
