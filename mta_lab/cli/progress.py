"""Shows a launch while it runs: bars in a terminal, plain lines in a log."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mta_lab.records import Failure, Record
from mta_lab.training.result import Progress as RunProgress
from mta_lab.worker.launch import Observer
from mta_lab.worker.tasks import Task


@contextmanager
def observer_for(console: Console, tasks: Sequence[Task]) -> Iterator[Observer]:
    """The observer that suits the console, for a launch of `tasks`."""
    if not console.is_terminal:
        yield Lines(console, tasks)
        return
    cell, note = (TextColumn(field, markup=False) for field in ("{task.description}", "{task.fields[note]}"))
    with Progress(cell, BarColumn(), MofNCompleteColumn(), note, TimeElapsedColumn(), console=console) as bars:
        yield Bars(bars, tasks)


class Clock:
    """How much of a launch is done, in optimizer steps, and how long the rest may take."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.total = sum(task.cell.config.training.steps for task in tasks)
        self.ended = 0
        self.running: dict[int, int] = {}
        self._started: float | None = None

    def start(self) -> None:
        """The first cell has started: workers are warm, and time counts from here."""
        self._started = self._started or time.monotonic()

    def end(self, worker: int, task: Task, result: Record | Failure) -> None:
        """Count a finished cell's steps; those of a failed one are no longer to do, and say nothing of the speed."""
        steps = task.cell.config.training.steps
        self.running.pop(worker, None)
        if isinstance(result, Failure):
            self.total -= steps
        else:
            self.ended += steps

    @property
    def done(self) -> int:
        """Steps done, of finished and running cells."""
        return self.ended + sum(self.running.values())

    def left(self) -> str:
        """`about 3:20 left`, or nothing as long as that is a guess."""
        if self._started is None or self.done < 0.01 * self.total:
            return ""
        seconds = (time.monotonic() - self._started) * (self.total - self.done) / self.done
        return f"about {int(seconds) // 60}:{int(seconds) % 60:02d} left"


class Lines:
    """Plain lines: each cell's start and end, and a sign of life every half minute."""

    def __init__(self, console: Console, tasks: Sequence[Task]) -> None:
        self._console, self._clock, self._cells = console, Clock(tasks), len(tasks)
        self._ended = 0
        self._last = time.monotonic()

    def say(self, message: str) -> None:
        self._console.print(message, soft_wrap=True, markup=False, highlight=False)

    def started(self, worker: int, task: Task) -> None:
        self._clock.start()
        self.say(f"worker {worker}: {task.cell.label} started")

    def advanced(self, worker: int, task: Task, progress: RunProgress) -> None:
        self._clock.running[worker] = progress.step
        if time.monotonic() - self._last > 30:
            self._last = time.monotonic()
            steps = task.cell.config.training.steps
            where = f"{task.cell.label} step {progress.step}/{steps} loss {progress.loss:.3f}"
            self.say(f"worker {worker}: {where}; {self._ended}/{self._cells} cells, {self._clock.left()}")

    def ended(self, worker: int, task: Task, result: Record | Failure) -> None:
        self._ended += 1
        self._clock.end(worker, task, result)
        self.say(f"worker {worker}: {outcome(task, result)}; {self._ended}/{self._cells} cells, {self._clock.left()}")


class Bars:
    """A bar a worker with its cell, step and loss, and one for the whole launch."""

    def __init__(self, bars: Progress, tasks: Sequence[Task]) -> None:
        self._bars, self._clock = bars, Clock(tasks)
        self._workers: dict[int, TaskID] = {}
        self._cells, self._ended = len(tasks), 0
        self._all = bars.add_task("all steps", total=self._clock.total, note="workers are starting")

    def say(self, message: str) -> None:
        self._bars.console.print(message, markup=False, highlight=False)

    def started(self, worker: int, task: Task) -> None:
        self._clock.start()
        if worker not in self._workers:
            self._workers[worker] = self._bars.add_task("", note="")
        steps = task.cell.config.training.steps
        self._bars.reset(self._workers[worker], total=steps, description=task.cell.label, note="")

    def advanced(self, worker: int, task: Task, progress: RunProgress) -> None:
        self._clock.running[worker] = progress.step
        self._bars.update(self._workers[worker], completed=progress.step, note=f"loss {progress.loss:.3f}")
        self._show_all()

    def ended(self, worker: int, task: Task, result: Record | Failure) -> None:
        self._ended += 1
        self._clock.end(worker, task, result)
        self.say(outcome(task, result))
        self._show_all()

    def _show_all(self) -> None:
        note = f"{self._ended}/{self._cells} cells, {self._clock.left()}"
        self._bars.update(self._all, total=self._clock.total, completed=self._clock.done, note=note)


def outcome(task: Task, result: Record | Failure) -> str:
    """One line on how a cell ended."""
    if isinstance(result, Failure):
        return f"{task.cell.label} FAILED: {result.reason}"
    return (
        f"{task.cell.label}: {result.quantity} {result.score:.3f}, {result.tokens_per_second:,.0f} tokens/s, "
        f"{result.seconds:.0f} s"
    )
