"""A page for a terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from mta_lab.report.page import Page, Section

NAME_WIDTH = 14  # characters, at least
STYLES = {"resolved": "bold", "plain": "none", "unresolved": "dim"}


def terminal(page: Page, width: int) -> RenderableType:
    """The page for a terminal so wide, its notes below."""
    parts: list[RenderableType] = [Text(page.title, style="bold")]
    parts += [Text(page.extent, style="dim")] if page.extent else []
    parts += [_table(section, width) for section in page.sections]
    return Group(*parts, *(Text(note, style="dim") for note in page.notes))


def _table(section: Section, width: int) -> RichTable:
    """Names and headings wrap, numbers do not, unless that leaves no room for names."""
    drawn = RichTable(
        title=Text(section.title), title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False
    )
    columns = list(zip(*(line.cells for line in section.lines), strict=True))[1:] or [()] * (len(section.header) - 1)
    widths = [max(map(len, [*name.split(), *cells])) for name, cells in zip(section.header[1:], columns, strict=True)]
    roomy = sum(widths) + 2 * len(widths) + NAME_WIDTH <= width
    drawn.add_column(section.header[0], vertical="bottom", overflow="fold")
    for name, size in zip(section.header[1:], widths, strict=True):
        drawn.add_column(Text(name), justify="right", vertical="bottom", overflow="fold", width=size if roomy else None)
    for line in section.lines:
        drawn.add_row(*map(Text, line.cells), style=STYLES[line.tone])  # Text: brackets in a name are no markup
    return drawn
