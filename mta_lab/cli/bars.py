"""A launch while it runs: bars in a terminal, plain lines in a log."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mta_lab.cli.output import OutputLostError
from mta_lab.cli.printable import escaping
from mta_lab.lab.lines import Lines, outcome, pruned
from mta_lab.launch.clock import Clock, steps_done
from mta_lab.launch.showing import Observer
from mta_lab.planning.runs import Run
from mta_lab.results.records import Failure, Record
from mta_lab.training.result import Progress as RunProgress
from mta_lab.training.result import Validation
from mta_lab.words import counted


@contextmanager
def observer_for(console: Console, steps: Sequence[int]) -> Iterator[Observer]:
    """Yield the observer that suits the console, for a launch of runs of so many optimizer steps each."""
    if not console.is_terminal:
        yield Lines(partial(_said, console), steps)
        return
    run, note = (TextColumn(field, markup=False) for field in ("{task.description}", "{task.fields[note]}"))
    with (
        Progress(run, BarColumn(), MofNCompleteColumn(), note, TimeElapsedColumn(), console=console) as bars,
        escaping(),
    ):
        yield Bars(bars, steps)


def _said(console: Console, message: str) -> None:
    """Print a line of a log."""
    try:
        console.print(message, soft_wrap=True, markup=False, highlight=False)
    except OutputLostError:  # as if they had pressed Ctrl-C who read it: what runs is kept
        signal.raise_signal(signal.SIGINT)


class Bars:
    """A bar a worker with its run, step and loss, and one for the whole launch."""

    def __init__(self, bars: Progress, steps: Sequence[int]) -> None:
        self._bars, self._clock = bars, Clock(steps)
        self._workers: dict[int, TaskID] = {}
        self._runs, self._ended = len(steps), 0
        self._all = bars.add_task("all steps", total=self._clock.total, note="workers are starting")

    def say(self, message: str) -> None:
        self._bars.console.print(message, markup=False, highlight=False)

    def started(self, worker: int, run: Run) -> None:
        self._clock.start()
        if worker not in self._workers:
            self._workers[worker] = self._bars.add_task("", note="")
        steps = run.config.training.steps
        self._bars.reset(self._workers[worker], total=steps, description=run.label, note="")

    def advanced(self, worker: int, run: Run, progress: RunProgress) -> None:
        self._clock.running[worker] = progress.step
        self._bars.update(self._workers[worker], completed=progress.step, note=f"loss {progress.loss:.3f}")
        self._show_all()

    def ended(self, worker: int, run: Run, result: Record | Failure) -> None:
        self._end(worker, run, steps_done(run, result), outcome(run, result))

    def stopped(self, worker: int, run: Run, last: Validation) -> None:
        self._end(worker, run, last.step, pruned(run, last))

    def released(self, worker: int) -> None:
        self._clock.running.pop(worker, None)
        self._bars.reset(self._workers[worker], description="", note="")
        self._show_all()

    def _end(self, worker: int, run: Run, done: int, how: str) -> None:
        self._ended += 1
        self._clock.end(worker, run, done)
        self.say(how)
        self._show_all()

    def _show_all(self) -> None:
        note = f"{self._ended}/{counted(self._runs, 'run')}, {self._clock.left()}"
        self._bars.update(self._all, total=self._clock.total, completed=self._clock.done, note=note)
