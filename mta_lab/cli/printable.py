r"""The one door of output: what it prints neither steers a terminal nor shows a secret.

Letters that Python does not call printable are shown as their numbers, `\x1b` and `\u202e`:
controls, marks that turn the order of letters around, letters without width, halves of letters.
Line breaks and tabs pass.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

from mta_lab.masking import masked, one_environment


class _Shown(dict[int, int | str]):
    """The text that is shown for each letter, by the letter's number; filled as letters come."""

    def __missing__(self, number: int) -> int | str:
        letter = chr(number)
        self[number] = number if letter.isprintable() or letter in "\n\t" else _as_number(letter)
        return self[number]


def _as_number(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


_SHOWN = _Shown()


class _Printable(str):
    """Text that has been made printable.

    It is checked once, though Rich renders a table's cell again at each level around it.
    """


def printable(text: str) -> str:
    """Return the text with secrets masked, and letters that would steer a terminal as numbers.

    Its lines stay lines.
    """
    return text if isinstance(text, _Printable) else _Printable(masked(text).translate(_SHOWN))


def one_line(text: str) -> str:
    """Return a message as the one line that it is to be, whatever names and values it repeats."""
    return printable(text).replace("\n", r"\n").replace("\t", r"\t")


class Escaping:
    """A text stream before another, `rich_proxied_file`, that prints printable text alone.

    Rich's consoles know that name, so that one may write its own controls to the stream behind.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # who wrote there would pass by
            raise AttributeError(name)
        return getattr(self.rich_proxied_file, name)

    def write(self, text: str) -> int:
        """Pass on the printable text."""
        self.rich_proxied_file.write(printable(text))
        return len(text)


@contextmanager
def escaping() -> Iterator[None]:
    """Make everything printed in this context printable.

    Open it anew where Rich replaces stdout, and reads colours.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, Escaping(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class SafeConsole(Console):
    """A console on stdout that sends a terminal only its own controls; text is never markup."""

    def __init__(self, width: int | None = None) -> None:
        file = sys.stdout
        while behind := getattr(file, "rich_proxied_file", None):
            file = behind
        super().__init__(file=file, width=width, highlight=False, markup=False, emoji=False)

    def print(self, *objects: Any, **settings: Any) -> None:
        """Print as Rich does, with the secrets that the environment holds now masked."""
        with one_environment():
            super().print(*objects, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """Return a text before it is measured and laid out."""
        return super().render_str(printable(text), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of anything that Rich renders, their text printable."""
        for segment in super().render(renderable, options):
            ready = segment.control or isinstance(segment.text, _Printable)
            yield segment if ready else segment._replace(text=printable(segment.text))

    def status(self, status: RenderableType, **settings: Any) -> Status:
        """Return a spinner beside a text, which Rich alone would read as markup."""
        return super().status(self.render_str(status) if isinstance(status, str) else status, **settings)
