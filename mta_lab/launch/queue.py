"""The order in which runs start: the runs of a plan, or the trials of a search."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from mta_lab.errors import UserError
from mta_lab.launch.order import Order
from mta_lab.planning.runs import Run
from mta_lab.results.records import Record, Records
from mta_lab.sweep import PlannedRun
from mta_lab.sweep.search import Search

if TYPE_CHECKING:  # imports slowly
    from mta_lab.scheduling import Study, Trials


class Queue(Protocol):
    """The source of a launch's runs: asked when a slot is free, told of all that happens."""

    def left(self) -> int:
        """Return how many are still to start."""

    def next(self) -> Run | None:
        """Start one more; None where nothing is left."""

    def requeue(self, run: Run, reason: str) -> None:
        """Put back a run that did not end: a worker will go on with it, or another launch."""

    def validated(self, run: Run, step: int, score: float) -> bool:
        """Note a validation; return whether the run should stop for it."""

    def finished(self, run: Run, record: Record) -> None:
        """Note that a run has finished."""

    def stopped(self, run: Run) -> None:
        """Note that a run ended early, as asked."""

    def failed(self, run: Run, reason: str) -> None:
        """Note that a run failed and is not tried again."""

    def set_aside(self, run: Run) -> None:
        """Note that a run was stopped by hand, and is left to another launch."""


class SweepQueue:
    """The runs of a plan, each a trial of the sweep's study."""

    def __init__(self, pending: Sequence[Run], study: "Study", say: Callable[[str], None] = lambda line: None) -> None:
        """Begin; `say` hears which stages are given up with the run that they would start from."""
        self._order, self._study, self._say = Order(), study, say
        self._waiting: dict[str, list[Run]] = {}  # stages, by what they start from
        unfinished = {run.fingerprint for run in pending}
        for run in pending:
            if run.parent and run.parent.fingerprint in unfinished:
                self._waiting.setdefault(run.parent.fingerprint, []).append(run)
            else:
                self._order.add(run)
        self._requeued = deque[Run]()

    def left(self) -> int:
        return len(self._order) + len(self._requeued) + sum(map(len, self._waiting.values()))

    def next(self) -> Run | None:
        if self._requeued:
            run = self._requeued.popleft()
        elif len(self._order):
            run = self._order.pop()
        else:
            return None
        self._study.claim(run.fingerprint, run.row, run.seed)
        return run

    def requeue(self, run: Run, reason: str) -> None:
        self._study.fail(run.fingerprint, reason)
        self._requeued.append(run)

    def validated(self, run: Run, step: int, score: float) -> bool:
        self._study.report(run.fingerprint, step, score)
        return False

    def finished(self, run: Run, record: Record) -> None:
        self._order.learn(run.row, record.seconds)
        for stage in self._waiting.pop(run.fingerprint, ()):
            self._order.add(stage)
        self._study.finish(run.fingerprint, record.score)

    def stopped(self, run: Run) -> None:
        self._study.fail(run.fingerprint, "stopped early")

    def failed(self, run: Run, reason: str) -> None:
        self._study.fail(run.fingerprint, reason)
        if lost := self._given_up(run):
            self._say(f"{run.label} failed, and with it what starts from it: {', '.join(one.label for one in lost)}")

    def set_aside(self, run: Run) -> None:
        self._study.fail(run.fingerprint, "stopped by hand")
        if waiting := self._given_up(run):
            stages = ", ".join(one.label for one in waiting)
            self._say(f"{run.label} is stopped, and with it what starts from it: {stages}")

    def _given_up(self, run: Run) -> list[Run]:
        """Take out and return the stages that would start from a run, and those from them."""
        stages = self._waiting.pop(run.fingerprint, [])
        return [one for stage in stages for one in (stage, *self._given_up(stage))]

    def import_finished(self, runs: Sequence[Run], records: Records) -> None:
        """Enter the runs that were finished before, by another sweep perhaps."""
        for run in runs:
            if not self._study.has(run.fingerprint) and (record := records.finished(run.fingerprint)):
                self._study.import_finished(run.fingerprint, run.row, run.seed, record.score)


class SearchQueue:
    """The trials of a search, as many of each of its rows, each row a study of its own.

    A trial that failed takes one of those places, so that a search whose trials all fail comes to
    an end; the next launch gives the place to another. One that was requeued stays as it is: if no
    worker takes it again, the next launch does (`Trials.opened`).
    """

    def __init__(
        self, search: Search, studies: Mapping[str, "Trials"], run_of: Callable[[PlannedRun], Run], records: Records
    ) -> None:
        self._search, self._studies, self._run_of, self._records = search, studies, run_of, records
        self._running: dict[str, tuple[str, int]] = {}  # fingerprint -> row, number of the trial
        self._requeued = deque[Run]()
        self._failed = Counter[str]()  # by row, in this launch

    def ask_again(self) -> None:
        """Let the values of failed trials that `mta-lab retry` cleared be asked for first.

        Behind them come the points of a grid that have not ended.
        """
        for row, study in self._studies.items():
            for values in study.failed():
                try:
                    config = self._search.config(row, values)
                except (UserError, KeyError):  # they never went together, or were lost before all were chosen
                    continue
                name = self._run_of(PlannedRun(row=row, seed=config.seed, config=config)).fingerprint
                if self._records.attempts(name) and not self._records.failed(name):
                    study.ask_again(values)
            study.ask_each(self._search.grids.get(row, ()))

    def left(self) -> int:
        return len(self._requeued) + self._unasked()

    def next(self) -> Run | None:
        if self._requeued:
            return self._requeued.popleft()
        while self._unasked():
            row = min(filter(self._unasked_of, self._studies), key=self._started)
            number, values = self._studies[row].ask(self._search.space_of(row))
            try:
                config = self._search.config(row, values)
            except UserError as error:  # ranges that do not go together
                self._fail(row, number, str(error))
                continue
            run = self._run_of(PlannedRun(row=f"{row} trial {number}", seed=config.seed, config=config))
            if record := self._records.finished(run.fingerprint):
                self._studies[row].finish(number, record.score)
            elif failure := self._records.failed(run.fingerprint):
                self._fail(row, number, failure.reason)
            elif run.fingerprint in self._running:
                self._fail(row, number, "the same values are running in another trial")
            else:
                self._running[run.fingerprint] = row, number
                return run
        return None

    def requeue(self, run: Run, reason: str) -> None:
        self._requeued.append(run)

    def validated(self, run: Run, step: int, score: float) -> bool:
        row, number = self._running[run.fingerprint]
        return self._studies[row].report(number, step, score)

    def finished(self, run: Run, record: Record) -> None:
        row, number = self._running.pop(run.fingerprint)
        self._studies[row].finish(number, record.score)

    def stopped(self, run: Run) -> None:
        row, number = self._running.pop(run.fingerprint)
        self._studies[row].prune(number)

    def failed(self, run: Run, reason: str) -> None:
        self._fail(*self._running.pop(run.fingerprint), reason)

    def set_aside(self, run: Run) -> None:
        self._fail(*self._running.pop(run.fingerprint), "stopped by hand")

    def _fail(self, row: str, number: int, reason: str) -> None:
        self._failed[row] += 1
        self._studies[row].fail(number, reason)

    def _unasked(self) -> int:
        return sum(map(self._unasked_of, self._studies))

    def _unasked_of(self, row: str) -> int:
        return max(0, self._search.trials_of(row) - self._started(row))

    def _started(self, row: str) -> int:
        running = sum(found == row for found, _ in self._running.values())
        return self._studies[row].ended() + self._failed[row] + running
