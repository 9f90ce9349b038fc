"""Who says what runs next: the cells of a plan, or the trials of a search."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from mta_lab.errors import UserError
from mta_lab.records import Record, Records
from mta_lab.sweep import Cell
from mta_lab.sweep.search import Search
from mta_lab.worker.tasks import Task, next_task

if TYPE_CHECKING:  # imports slowly
    from mta_lab.scheduling import Study, Trials


class Schedule(Protocol):
    """What a launch asks when a worker is free, and tells of everything that happens."""

    def left(self) -> int:
        """Return how many are still to start."""

    def next(self) -> Task | None:
        """Start one more; None where nothing is left."""

    def put_back(self, task: Task, reason: str) -> None:
        """It did not end: a worker will go on with it, or another launch."""

    def validated(self, task: Task, step: int, score: float) -> bool:
        """Note a validation; whether the run should stop for it."""

    def finished(self, task: Task, record: Record) -> None:
        """It ran to its end."""

    def stopped(self, task: Task) -> None:
        """It ended early, as asked."""

    def failed(self, task: Task, reason: str) -> None:
        """It failed, and is not tried again."""


class Cells:
    """The cells of a plan, each a trial of the sweep's study."""

    def __init__(self, pending: Sequence[Task], study: "Study") -> None:
        self._pending, self._study = list(pending), study
        self._put_back = deque[Task]()
        self._seconds: dict[str, float] = {}  # what a row's last cell took

    def left(self) -> int:
        return len(self._pending) + len(self._put_back)

    def next(self) -> Task | None:
        if self._put_back:
            task = self._put_back.popleft()
        elif self._pending:
            task = next_task(self._pending, self._seconds)
            self._pending.remove(task)
        else:
            return None
        self._study.claim(task.fingerprint, task.cell.row, task.cell.seed)
        return task

    def put_back(self, task: Task, reason: str) -> None:
        self._study.fail(task.fingerprint, reason)
        self._put_back.append(task)

    def validated(self, task: Task, step: int, score: float) -> bool:
        self._study.report(task.fingerprint, step, score)
        return False

    def finished(self, task: Task, record: Record) -> None:
        self._seconds[task.cell.row] = record.seconds
        self._study.finish(task.fingerprint, record.score)

    def stopped(self, task: Task) -> None:
        self._study.fail(task.fingerprint, "stopped early")

    def failed(self, task: Task, reason: str) -> None:
        self._study.fail(task.fingerprint, reason)

    def adopt(self, tasks: Sequence[Task], records: Records) -> None:
        """Enter the cells that were finished before, by another sweep perhaps."""
        for task in tasks:
            if not self._study.has(task.fingerprint) and (record := records.finished(task.fingerprint)):
                self._study.adopt(task.fingerprint, task.cell.row, task.cell.seed, record.score)


class SearchTrials:
    """The trials of a search, as many of each of its rows, each row a study of its own.

    A trial that failed takes one of those places, so that a search whose trials all fail comes to an end; the next
    launch gives the place to another. One that was put back stays as it is: if no worker takes it again, the next
    launch does (`Trials.opened`).
    """

    def __init__(
        self, search: Search, studies: Mapping[str, "Trials"], task_of: Callable[[Cell], Task], records: Records
    ) -> None:
        self._search, self._studies, self._task_of, self._records = search, studies, task_of, records
        self._running: dict[str, tuple[str, int]] = {}  # fingerprint -> row, number of the trial
        self._put_back = deque[Task]()
        self._failed = Counter[str]()  # by row, in this launch

    def ask_again(self) -> None:
        """Let the values of failed trials that were forgiven since (`mta-lab retry`) be asked for first."""
        for row, study in self._studies.items():
            for values in study.failed():
                try:
                    config = self._search.config(row, values)
                except (UserError, KeyError):  # they never went together, or were lost before all were chosen
                    continue
                name = self._task_of(Cell(row=row, seed=config.seed, config=config)).fingerprint
                if self._records.attempts(name) and not self._records.failed(name):
                    study.ask_again(values)

    def left(self) -> int:
        return len(self._put_back) + self._unasked()

    def next(self) -> Task | None:
        if self._put_back:
            return self._put_back.popleft()
        while self._unasked():
            row = min(self._studies, key=self._started)
            number, values = self._studies[row].ask(self._search.space_of(row))
            try:
                config = self._search.config(row, values)
            except UserError as error:  # ranges that do not go together
                self._fail(row, number, str(error))
                continue
            task = self._task_of(Cell(row=f"{row} trial {number}", seed=config.seed, config=config))
            if record := self._records.finished(task.fingerprint):
                self._studies[row].finish(number, record.score)
            elif failure := self._records.failed(task.fingerprint):
                self._fail(row, number, failure.reason)
            elif task.fingerprint in self._running:
                self._fail(row, number, "the same values are running in another trial")
            else:
                self._running[task.fingerprint] = row, number
                return task
        return None

    def put_back(self, task: Task, reason: str) -> None:
        self._put_back.append(task)

    def validated(self, task: Task, step: int, score: float) -> bool:
        row, number = self._running[task.fingerprint]
        return self._studies[row].report(number, step, score)

    def finished(self, task: Task, record: Record) -> None:
        row, number = self._running.pop(task.fingerprint)
        self._studies[row].finish(number, record.score)

    def stopped(self, task: Task) -> None:
        row, number = self._running.pop(task.fingerprint)
        self._studies[row].prune(number)

    def failed(self, task: Task, reason: str) -> None:
        self._fail(*self._running.pop(task.fingerprint), reason)

    def _fail(self, row: str, number: int, reason: str) -> None:
        self._failed[row] += 1
        self._studies[row].fail(number, reason)

    def _unasked(self) -> int:
        return sum(max(0, self._search.trials - self._started(row)) for row in self._studies)

    def _started(self, row: str) -> int:
        running = sum(found == row for found, _ in self._running.values())
        return self._studies[row].ended() + self._failed[row] + running
