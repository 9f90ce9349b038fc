"""The display that a use case tells what it does: plain lines here, bars in a terminal on the command line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # import slowly
    from mta_lab.launch.events import Listener
    from mta_lab.report import Table

Say = Callable[[str], None]


class Display:
    """Plain lines, for a log or a notebook; a subclass shows more."""

    def __init__(self, say: Say = print, note: Say = print) -> None:
        self._say, self._note = say, note

    def say(self, message: str) -> None:
        """Take a line on what is done."""
        self._say(message)

    def note(self, message: str) -> None:
        """Take a remark on something that may surprise; the work goes on."""
        self._note(message)

    @contextmanager
    def launch(self) -> Iterator["Listener"]:
        """Yield a listener that shows a launch, as long as the context is open."""
        from mta_lab.lab.lines import Lines

        yield Lines(self.say)

    def show(self, table: "Table") -> None:
        """Take the table of a launch when none of its runs is trained any more. Plain lines leave it out."""
