"""A launch while it runs: bars in a terminal, plain lines in a log."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mta_lab.cli.output import OutputLostError
from mta_lab.cli.printable import escaping
from mta_lab.lab.lines import Lines, count_of, line_of
from mta_lab.launch.events import Event, Listener, RunProgressed, RunRequeued, RunStarted, RunStopped
from mta_lab.launch.outlook import Outlook


@contextmanager
def listener_for(console: Console) -> Iterator[Listener]:
    """Yield the listener that suits the console."""
    if not console.is_terminal:
        yield Lines(partial(_said, console))
        return
    run, note = (TextColumn(field, markup=False) for field in ("{task.description}", "{task.fields[note]}"))
    with (
        Progress(run, BarColumn(), MofNCompleteColumn(), note, TimeElapsedColumn(), console=console) as bars,
        escaping(),
    ):
        yield Bars(bars)


def _said(console: Console, message: str) -> None:
    """Print a line of a log."""
    try:
        console.print(message, soft_wrap=True, markup=False, highlight=False)
    except OutputLostError:  # as if they had pressed Ctrl-C who read it: what runs is kept
        signal.raise_signal(signal.SIGINT)


class Bars:
    """A listener with a bar a worker for its run, step and loss, and one for the whole launch."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._workers: dict[int, TaskID] = {}
        self._all = bars.add_task("all steps", total=None, note="workers are starting")

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Move the bars, and print a line above them where the event deserves one."""
        match event:
            case RunStarted():
                if event.slot not in self._workers:
                    self._workers[event.slot] = self._bars.add_task("", note="")
                steps = event.run.config.training.steps
                self._bars.reset(self._workers[event.slot], total=steps, description=event.run.label, note="")
            case RunProgressed(progress=progress):
                note = f"loss {progress.loss:.3f}" if progress.step else ""
                self._bars.update(self._workers[event.slot], completed=progress.step, note=note)
            case RunRequeued(slot=int(slot)) | RunStopped(slot=int(slot)):
                self._bars.reset(self._workers[slot], description="", note="")
        if line := line_of(event, outlook):
            self._bars.console.print(line, markup=False, highlight=False)
        if self._workers:  # the first run has started
            self._bars.update(self._all, total=outlook.steps, completed=outlook.done, note=count_of(outlook))
