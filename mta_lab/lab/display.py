"""Show what a use case does: as plain lines here; the command line draws bars."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mta_lab.lab.lines import Lines, Progress
from mta_lab.launch.events import Listener

if TYPE_CHECKING:  # slow to import
    from mta_lab.report import Table

Say = Callable[[str], None]
Advance = Callable[[int, int], None]
"""hears how much is done, and of how much"""


class Display:
    """A display of plain lines, for a log or a notebook; subclasses show more."""

    def __init__(self, say: Say = print, note: Say = print) -> None:
        self._say, self._note = say, note

    def say(self, message: str) -> None:
        """Show a line on what is being done."""
        self._say(message)

    def note(self, message: str) -> None:
        """Show a remark on something that may surprise; the work goes on."""
        self._note(message)

    @contextmanager
    def launch(self) -> Iterator[Listener]:
        """Yield a listener that shows a launch while the context is open."""
        yield Lines(self.say)

    @contextmanager
    def progress(self, label: str) -> Iterator["Advance"]:
        """Yield what to call with how much of a piece of work is done, and how much there is.

        Plain lines tell of it every half minute, with the time that is left.
        """
        yield Progress(self.say, label).advance

    def show(self, table: "Table") -> None:
        """Show the table of a launch once none of its runs is being trained.

        Plain lines leave it out.
        """
