"""Draw a page in a terminal."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from mta_lab.report.page import Page, Section

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
        yield _table(section, title, [(place, widths[place - 1]) for place in places])
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


def _table(section: Section, title: str, columns: Sequence[tuple[int, int]]) -> RichTable:
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
    for line in section.lines:
        cells = [line.cells[0], *(line.cells[place] for place, _ in columns)]
        drawn.add_row(
            *map(Text, cells), style=STYLES[line.tone]
        )  # a Text, because Rich would read brackets in a name as markup
    return drawn
