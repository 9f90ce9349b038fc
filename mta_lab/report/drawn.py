"""A page for a terminal, and as a picture of one."""

import re
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from mta_lab.report.page import Page, Section

WIDTH = 120  # characters: a picture's, and what three seeds need
STYLES = {"resolved": "bold", "plain": "none", "unresolved": "dim"}


def terminal(page: Page) -> RenderableType:
    """The page for a terminal, its notes below."""
    parts: list[RenderableType] = [Text(page.title, style="bold")]
    parts += [_table(section) for section in page.sections]
    return Group(*parts, *(Text(note, style="dim") for note in page.notes))


def _table(section: Section) -> RichTable:
    drawn = RichTable(
        title=Text(section.title), title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False
    )
    drawn.add_column(section.header[0], vertical="bottom")
    for index, name in enumerate(section.header[1:], start=1):  # headers and names may wrap, numbers do not
        width = max(map(len, [*name.split(), *(line.cells[index] for line in section.lines)]))
        drawn.add_column(Text(name), justify="right", vertical="bottom", width=width)
    for line in section.lines:
        drawn.add_row(*map(Text, line.cells), style=STYLES[line.tone])  # Text: brackets in a name are no markup
    return drawn


def svg(page: Page) -> str:
    """The page as a picture of a terminal."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    console.print(terminal(page))
    picture = console.export_svg(title=f"mta-lab report {page.name}")
    return re.sub(r"@font-face \{[^}]*\}", "", picture)  # fonts from the network; the reader's own will do
