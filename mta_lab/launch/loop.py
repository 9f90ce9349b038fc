"""What happens while a launch runs: workers are handed what the schedule says, results are recorded and tracked."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mta_lab.errors import UserError
from mta_lab.executors.local.messages import Died, Failed, Finished, Interrupted, Note, Progressed, Stop, TrainRun
from mta_lab.executors.local.pool import Pool
from mta_lab.launch.attempts import Attempts
from mta_lab.launch.guards import Interrupt
from mta_lab.launch.queue import Queue
from mta_lab.launch.recording import record_of
from mta_lab.launch.tracked import entry_of, launch_of
from mta_lab.masking import masked
from mta_lab.planning.runs import Run
from mta_lab.results.failures import Kind
from mta_lab.results.records import Failure, Record, Records
from mta_lab.sweep import Sweep
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.words import duration

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


class LaunchLoop:
    """The state of a launch: which worker runs what, and what becomes of it."""

    def __init__(
        self,
        sweep: Sweep,
        schedule: Queue,
        records: Records,
        corpus_root: Path,
        observer: Observer,
        pool: Pool,
        tracker: "Tracker",
        trial_timeout: float | None,
    ) -> None:
        self.sweep, self.schedule, self.records, self.corpus_root = sweep, schedule, records, corpus_root
        self.observer, self.pool, self.tracker = observer, pool, tracker
        self.running: dict[int, Run] = {}
        self.attempts = Attempts(sweep.retry, trial_timeout)
        self.ready: set[int] = set()
        self.failed_starts = Counter[int]()
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
        """Answer the workers until nothing is left and nothing runs; raise KeyboardInterrupt if interrupted."""
        for worker, message in self.pool.messages():
            if isinstance(message, Progressed):
                self._advanced(worker, message.progress)
            elif isinstance(message, Note):
                self.observer.say(f"worker {worker}: {self.running[worker].label} {message.text}")
            elif isinstance(message, Interrupted):
                self._interrupted(worker, message.step)
            elif isinstance(message, Finished):
                self._finished(worker, message.result)
            elif isinstance(message, Failed):
                self._failed(worker, message.kind, message.reason, message.traceback)
                self._start_next(worker)
            elif isinstance(message, Died):
                self._died(worker, message)
            elif message is not None:
                self.ready.add(worker)
                self.failed_starts[worker] = 0
                self._start_next(worker)
            if not self.interrupt.asked:
                for late in self.attempts.late(self.running):
                    self.pool.kill(late)
            if self.interrupt.asked and self._stopped():
                raise KeyboardInterrupt
            if not self.running and not self.schedule.left():
                if (share := self.attempts.busy_share(len(self.pool))) is not None:
                    self.observer.say(f"the workers were busy {share:.1%} of the time from the first run's start on")
                return

    def _ended(self, worker: int) -> Run:
        """Return the run that the worker ran and that has ended; the worker is free."""
        self.attempts.end(worker)
        return self.running.pop(worker)

    def _requeue_all(self) -> None:
        """Close what runs as interrupted; the next launch trains it."""
        for run in self.running.values():
            self.schedule.requeue(run, "interrupted")
            self.tracker.kill_run(run.fingerprint)

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
        run = self._ended(worker)
        reason = f"interrupted at step {step}"
        self.observer.say(f"worker {worker}: {run.label} {reason}, goes on from there")
        self.observer.released(worker)
        self.schedule.requeue(run, reason)
        self.tracker.kill_run(run.fingerprint)

    def _start_next(self, worker: int) -> None:
        if self.interrupt.asked or worker in self.attempts.overdue:
            return
        run = self.schedule.next()
        if run is None:
            return
        try:
            request = TrainRun(
                config=run.config,
                corpus_root=self.corpus_root,
                checkpoints=self.records.checkpoints(run.fingerprint),
                weights=self.records.weights(run.fingerprint),
            )
            self.pool.send(worker, request)
        except OSError:  # it died since its last word, and the pool will say so
            self.schedule.requeue(run, "its worker was gone")
            return
        self.running[worker] = run
        self.attempts.start(worker)
        self.tracker.start_run(entry_of(self.sweep, run))
        self.observer.started(worker, run)

    def _advanced(self, worker: int, progress: "Progress") -> None:
        run = self.running[worker]
        self.attempts.advance(worker, progress.step)
        for choice in progress.implementations.items():
            if choice not in self.said:
                self.said.add(choice)
                self.observer.say("attention computed by {}: {}".format(*choice))
        self.tracker.progress(run.fingerprint, progress)
        self.observer.advanced(worker, run, progress)
        if progress.validation and self.schedule.validated(run, progress.step, progress.validation.score):
            with suppress(OSError):  # it died since, and the pool will say so
                self.pool.send(worker, Stop())

    def _finished(self, worker: int, result: "TrainingResult") -> None:
        run = self._ended(worker)
        last = result.validations[-1]
        if result.stopped_early:
            self.observer.stopped(worker, run, last)
            self._start_next(worker)
            self.schedule.stopped(run)
            self.records.forget_checkpoints(run.fingerprint)
            self.tracker.kill_run(run.fingerprint, trial_state="PRUNED")
            return
        record = record_of(
            run,
            result,
            run_id=self.tracker.run_id(run.fingerprint),
            threads=self.pool.threads,
            attempts=self.records.attempts(run.fingerprint),
        )
        self.records.finish(record)
        self.observer.ended(worker, run, record)
        self._start_next(worker)  # before the copies for Optuna and MLflow are written: no worker waits for those
        self.schedule.finished(run, record)
        self.tracker.finish_run(record)

    def _died(self, worker: int, message: Died) -> None:
        if worker in self.running:
            kind, reason = message.kind, message.reason
            if worker in self.attempts.overdue:
                kind, reason = "timed_out", f"no end within {duration(self.attempts.timeout or 0)} (--trial-timeout)"
            self._failed(worker, kind, reason, message.printed[-4000:])
        elif worker not in self.ready:
            self.failed_starts[worker] += 1
            limit = STARTS if message.by_itself else PATIENT_STARTS
            if self.failed_starts[worker] >= limit:
                times = f"{self.failed_starts[worker]} times in a row"
                raise UserError(f"a worker could not start, {times}: {message.reason}; see {message.log}")
        self.attempts.overdue.discard(worker)
        self.ready.discard(worker)
        for idle in self.ready - self.running.keys():  # what it ran need not wait for the one in its place
            self._start_next(idle)

    def _failed(self, worker: int, kind: Kind, reason: str, traceback: str) -> None:
        run, reason = self._ended(worker), masked(reason)
        attempt, again = self.attempts.failed(worker, run.fingerprint, kind, reason)
        failure = Failure(
            fingerprint=run.fingerprint,
            label=run.label,
            kind=kind,
            reason=reason,
            traceback=masked(traceback),
            attempts=(*self.records.attempts(run.fingerprint), attempt),
            final=not again,
        )
        self.records.fail(failure)
        if again:
            self.observer.say(f"worker {worker}: {run.label} {kind}: {reason}; it is tried again")
            self.observer.released(worker)
            self.schedule.requeue(run, reason)
            self.tracker.kill_run(run.fingerprint, failure=kind, reason=reason)
            return
        self.failures += 1
        self.schedule.failed(run, reason)
        self.tracker.fail_run(failure)
        self.observer.ended(worker, run, failure)
