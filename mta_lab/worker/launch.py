"""One launch of a sweep: finds what is missing, hands it to workers, records and tracks what comes back."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mta_lab.config import component_code, plain
from mta_lab.errors import UserError
from mta_lab.provenance import commit, provenance
from mta_lab.records import Failure, Record, Records
from mta_lab.sweep import Sweep
from mta_lab.worker.guards import Interrupt, only_launch
from mta_lab.worker.messages import Advanced, Died, Failed, Finished, Job
from mta_lab.worker.pool import Pool
from mta_lab.worker.tasks import Task, missing, next_task

if TYPE_CHECKING:  # both import slowly, and a launch with nothing to do needs neither
    from mta_lab.scheduling import Study
    from mta_lab.tracking import Tracker
    from mta_lab.training.result import Progress, TrainingResult


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


def launch(
    sweep: Sweep,
    tasks: Sequence[Task],
    *,
    records: Records,
    workers: int,
    components: Sequence[Path],
    corpus_root: Path,
    observer: Observer,
    note: Callable[[], str],
) -> None:
    """Train what is missing of `tasks` on `workers` processes; returns when each has finished or failed.

    Finished cells are never trained again; failed ones are tried anew. `note` makes the table that MLflow shows on
    the launch's parent run. Interrupted, everything finished is kept, and the same launch goes on from there.
    """
    with only_launch(records.directory):
        pending = deque(missing(tasks, records))
        if not pending:
            return
        with Pool(min(workers, len(pending)), components, records.directory) as pool:
            from mta_lab.scheduling import Study
            from mta_lab.tracking import Tracker

            study = Study(records.directory / "optuna.journal", f"{sweep.name}-{sweep.scale}", observer.say)
            tracker = Tracker(sweep.name, observer.say)
            _Launch(sweep, pending, records, corpus_root, observer, pool, study, tracker).run(tasks, note)


class _Launch:
    """The state of a launch: what waits, and which worker runs what."""

    def __init__(
        self,
        sweep: Sweep,
        pending: deque[Task],
        records: Records,
        corpus_root: Path,
        observer: Observer,
        pool: Pool,
        study: "Study",
        tracker: "Tracker",
    ) -> None:
        self.sweep, self.pending, self.records, self.corpus_root = sweep, pending, records, corpus_root
        self.observer, self.pool, self.study, self.tracker = observer, pool, study, tracker
        self.running: dict[int, Task] = {}
        self.ready: set[int] = set()
        self.seconds: dict[str, float] = {}  # what a row's last cell took
        self.failures = 0
        self.said: set[tuple[str, str]] = set()

    def run(self, tasks: Sequence[Task], note: Callable[[], str]) -> None:
        """Train everything pending, inside a parent run of MLflow's that ends with the table as its note."""
        sweep = self.sweep
        tags = {"sweep": sweep.name, "scale": sweep.scale, "commit": commit()}
        self.tracker.start(f"{sweep.name} {sweep.scale}", tags, sweep.rows[0].config.task.quantity)
        try:
            with Interrupt() as interrupt:
                self._adopt_finished(tasks)
                self._until_done(interrupt)
        except BaseException:
            self._give_back()
            self.tracker.end("KILLED", note())
            raise
        self.tracker.end("FAILED" if self.failures else "FINISHED", note())

    def _adopt_finished(self, tasks: Sequence[Task]) -> None:
        """Enter cells that were finished before, by another sweep perhaps, into this sweep's study and experiment."""
        for task in tasks:
            if record := self.records.finished(task.fingerprint):
                self.study.adopt(task.fingerprint, task.cell.row, task.cell.seed, record.score)
                self.tracker.adopt(record, task.cell.label, task.cell.config, self._tags(task))

    def _until_done(self, interrupt: Interrupt) -> None:
        """Answer the workers until nothing is pending and nothing runs; asked to stop, raise KeyboardInterrupt."""
        for worker, message in self.pool.messages():
            if isinstance(message, Advanced):
                self._advanced(worker, message.progress)
            elif isinstance(message, Finished):
                self._finished(worker, message.result)
            elif isinstance(message, Failed):
                self._failed(worker, message.reason, message.traceback)
                self._start_next(worker)
            elif isinstance(message, Died):
                self._buried(worker, message)
            elif message is not None:
                self.ready.add(worker)
                self._start_next(worker)
            if interrupt.asked:
                raise KeyboardInterrupt
            if not self.pending and not self.running:
                return

    def _give_back(self) -> None:
        """Close what runs as interrupted; the next launch trains it."""
        for task in self.running.values():
            self.study.fail(task.fingerprint, "interrupted")
            self.tracker.fail_cell(task.fingerprint, "KILLED", "interrupted")

    def _start_next(self, worker: int) -> None:
        if not self.pending:
            return
        task = next_task(self.pending, self.seconds)
        self.pending.remove(task)
        cell = task.cell
        try:
            self.pool.send(worker, Job(config=cell.config, corpus_root=self.corpus_root))
        except OSError:  # it died since its last word, and the pool will say so
            self.pending.appendleft(task)
            return
        self.running[worker] = task
        self.study.claim(task.fingerprint, cell.row, cell.seed)
        self.tracker.start_cell(task.fingerprint, cell.label, cell.config, self._tags(task))
        self.observer.started(worker, task)

    def _advanced(self, worker: int, progress: "Progress") -> None:
        task = self.running[worker]
        for choice in progress.implementations.items():
            if choice not in self.said:
                self.said.add(choice)
                self.observer.say("attention computed by {}: {}".format(*choice))
        self.tracker.progress(task.fingerprint, progress)
        if progress.validation:
            self.study.report(task.fingerprint, progress.step, progress.validation.score)
        self.observer.advanced(worker, task, progress)

    def _finished(self, worker: int, result: "TrainingResult") -> None:
        task = self.running.pop(worker)
        self.seconds[task.cell.row] = result.seconds
        last = result.validations[-1]
        record = Record(
            fingerprint=task.fingerprint,
            config=plain(task.cell.config),
            content_hash=task.content_hash,
            parameters=result.parameters,
            quantity=last.quantity,
            score=last.score,
            domains=last.domains,
            scored=last.scored,
            tokens_per_second=result.tokens_per_second,
            seconds=result.seconds,
            training_seconds=result.training_seconds,
            peak_memory=result.peak_memory,
            flops_per_token=result.flops_per_token,
            losses=[[step, loss] for step, loss in result.losses],
            validations=[[validation.step, validation.score] for validation in result.validations],
            run_id=self.tracker.run_id(task.fingerprint),
            provenance=provenance(self.pool.threads),
            implementations=result.implementations,
        )
        self.records.finish(record)
        self.observer.ended(worker, task, record)
        self._start_next(worker)  # before the copies for Optuna and MLflow are written: no worker waits for those
        self.study.finish(task.fingerprint, record.score)
        self.tracker.end_cell(record)

    def _buried(self, worker: int, message: Died) -> None:
        if worker in self.running:
            self._failed(worker, message.reason, message.log.read_text(errors="replace")[-4000:])
        elif worker not in self.ready:  # the one in its place would die as well, for ever
            raise UserError(f"a worker could not start: {message.reason}; see {message.log}")
        self.ready.discard(worker)

    def _failed(self, worker: int, reason: str, traceback: str) -> None:
        task = self.running.pop(worker)
        self.failures += 1
        failure = Failure(fingerprint=task.fingerprint, label=task.cell.label, reason=reason, traceback=traceback)
        self.records.fail(failure)
        self.study.fail(task.fingerprint, reason)
        self.tracker.fail_cell(task.fingerprint, "FAILED", traceback)
        self.observer.ended(worker, task, failure)

    def _tags(self, task: Task) -> Mapping[str, str]:
        return {
            "sweep": self.sweep.name,
            "scale": self.sweep.scale,
            "row": task.cell.row,
            "seed": str(task.cell.seed),
            "fingerprint": task.fingerprint,
            "data": task.content_hash,
            "commit": commit(),
            "component_code": component_code(task.cell.config),
        }
