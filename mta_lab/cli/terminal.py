"""The console and the display of a command.

Output goes to stdout, remarks to stderr; bars show while runs are trained.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from mta_lab import lab
from mta_lab.cli.bars import listener_for
from mta_lab.cli.printable import SafeConsole, one_line
from mta_lab.lab.display import Display

if TYPE_CHECKING:
    from mta_lab.lab.display import Advance
    from mta_lab.launch.events import Listener
    from mta_lab.report import Table

LOG_WIDTH = 140  # characters, where there is no terminal to ask


def make_console() -> Console:
    """Return a console on stdout, wide enough for a table when it goes to a file or a pipe."""
    return SafeConsole(width=None if sys.stdout.isatty() else LOG_WIDTH)


def note(message: str) -> None:
    """Print what is no part of a command's output."""
    print(f"mta-lab: {one_line(message)}", file=sys.stderr)


class Terminal(Display):
    """The display of the command line."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or make_console()
        super().__init__(lambda message: self.console.print(message, soft_wrap=True), note)

    @contextmanager
    def launch(self) -> Iterator["Listener"]:
        """Show bars in a terminal, plain lines in a log."""
        with listener_for(self.console) as listener:
            yield listener

    @contextmanager
    def progress(self, label: str) -> Iterator["Advance"]:
        """Show a bar with the time that is left in a terminal, plain lines in a log."""
        if not self.console.is_terminal:
            with super().progress(label) as advance:
                yield advance
            return
        name = TextColumn("{task.description}", markup=False)
        with Progress(name, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=self.console) as bars:
            bar = bars.add_task(label, total=None)
            yield lambda done, total: bars.update(bar, completed=done, total=total)

    def show(self, table: "Table") -> None:
        """Print a launch's table."""
        lab.printing.print_table(table, "rich", self.console)
