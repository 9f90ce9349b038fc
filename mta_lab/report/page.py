"""A page of small tables and notes: what every drawn format shows, before it is drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mta_lab.report.measured import Measured
from mta_lab.report.published import Published
from mta_lab.report.table import TableRow

Tone = Literal["resolved", "plain", "unresolved"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of cells."""

    cells: tuple[str, ...]
    tone: Tone = "plain"


@dataclass(frozen=True, kw_only=True)
class Section:
    """One small table; its first column holds names, the others numbers."""

    title: str
    header: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """Sections under a title, and what a reader has to know besides the numbers."""

    name: str
    title: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    extent: str = ""
    """which runs it is of, in words"""


@dataclass(frozen=True)
class OurColumn:
    """A column of measurements; it is given nothing else."""

    name: str
    cell: Callable[[Measured], str]


@dataclass(frozen=True)
class PaperColumn:
    """A column of published values, and headed so."""

    name: str
    cell: Callable[[Published], str]


Column = OurColumn | PaperColumn


def section(title: str, columns: Sequence[Column], rows: Sequence[TableRow], *, verdicts: bool = False) -> Section:
    """A section with a line for each of `rows`; with `verdicts`, what is resolved stands out and the rest recedes.

    Only a section whose differences are tested has verdicts: a cost without an interval is no reason to be bold.
    """
    names = (f"paper: {column.name}" if isinstance(column, PaperColumn) else column.name for column in columns)
    lines = (
        Line(
            cells=(row.name, *(_cell(column, row) for column in columns)),
            tone=_tone(row) if verdicts else "plain",
        )
        for row in rows
    )
    return Section(title=title, header=("row", *names), lines=tuple(lines))


def _cell(column: Column, row: TableRow) -> str:
    return column.cell(row.measured) if isinstance(column, OurColumn) else column.cell(row.published)


def _tone(row: TableRow) -> Tone:
    """Return how strongly a row is shown: one that is not resolved recedes."""
    if row.measured.resolved:
        return "resolved"
    return "unresolved" if row.measured.role == "row" else "plain"
