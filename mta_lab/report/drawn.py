"""Draw a page in a terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from textwrap import wrap

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table as RichTable
from rich.text import Text

from mta_lab.report.page import Page, Section, Tone

NAME_WIDTH = 14  # characters that the column of names has at least
STYLES = {"resolved": "bold", "plain": "none", "unresolved": "dim"}


def terminal(page: Page, width: int) -> RenderableType:
    """Return the page as Rich draws it in `width` characters, with its notes below."""
    parts: list[RenderableType] = [Text(page.title, style="bold")]
    parts += [Text(page.extent, style="dim")] if page.extent else []
    parts += [table for section in page.sections for table in _tables(section, width)]
    return Group(*parts, *(Text(note, style="dim") for note in page.notes))


def _tables(section: Section, width: int) -> Iterator[RichTable]:
    """Yield the section as tables: one, or several below each other where it is too wide.

    Names and headings wrap between words; numbers do not.
    """
    columns = list(zip(*(line.cells for line in section.lines), strict=True))[1:] or [()] * (len(section.header) - 1)
    widths = [max(map(len, [*name.split(), *cells])) for name, cells in zip(section.header[1:], columns, strict=True)]
    title = section.title
    for places in _shared(widths, width - NAME_WIDTH):
        yield _table(section, title, [(place, widths[place - 1]) for place in places], width)
        title = ""


def _shared(widths: Sequence[int], room: int) -> list[list[int]]:
    """Return the columns of each table, counted from 1: as many in turn as fit `room`."""
    tables: list[list[int]] = [[]]
    left = room
    for place, width in enumerate(widths, start=1):
        if width + 2 > left and tables[-1]:
            tables.append([])
            left = room
        tables[-1].append(place)
        left -= width + 2
    return tables


def _table(section: Section, title: str, columns: Sequence[tuple[int, int]], width: int) -> RichTable:
    """Return a table of the names and the given columns: (place in the section, characters)."""
    drawn = RichTable(
        title=Text(title) if title else None,
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=0,  # padding costs Rich another layout of each cell; the widths below leave a blank instead
    )
    drawn.add_column(section.header[0], vertical="bottom", overflow="fold")
    for place, size in columns:
        heading = Text("\n".join(wrap(section.header[place], size)))
        drawn.add_column(heading, justify="right", vertical="bottom", overflow="fold", width=size + 1)
    room = width - sum(size + 2 for _, size in columns) - 2
    for cells, tone in _rows(section, [(0, room), *columns]):
        drawn.add_row(*cells, style=STYLES[tone])
    return drawn


def _rows(section: Section, columns: Sequence[tuple[int, int]]) -> Iterator[tuple[list[RenderableType], Tone]]:
    """Yield the rows that Rich lays out: all lines of a tone that follow each other as one.

    Where a cell is wider than its column, each line is a row, as Rich breaks such a cell.
    """
    lines = [[line.cells[place] for place, _ in columns] for line in section.lines]
    tones = [line.tone for line in section.lines]
    sizes = [size for _, size in columns]
    if all(
        cell.isprintable() and cell_len(cell) <= size for line in lines for cell, size in zip(line, sizes, strict=True)
    ):
        for tone, alike in groupby(zip(lines, tones, strict=True), key=itemgetter(1)):
            yield [_Column(cells) for cells in zip(*(line for line, _ in alike), strict=True)], tone
    else:
        for line, tone in zip(lines, tones, strict=True):
            yield [Text(cell) for cell in line], tone  # a Text, because Rich would read brackets as markup


class _Column:
    """Cells below each other, each of which fits.

    Rich would wrap each Text, which takes seconds for tens of thousands.
    """

    def __init__(self, cells: Sequence[str]) -> None:
        self.cells = cells

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = max(map(cell_len, self.cells))
        return Measurement(width, width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for cell in self.cells:
            blank = " " * (options.max_width - cell_len(cell))
            yield Segment(f"{blank}{cell}" if options.justify == "right" else f"{cell}{blank}")
            yield Segment.line()
