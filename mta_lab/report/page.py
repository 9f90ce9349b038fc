"""Hold a page of small tables and notes, which each format then draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mta_lab.report.measured import Measured
from mta_lab.report.published import Published
from mta_lab.report.table import TableRow

Tone = Literal["resolved", "plain", "unresolved"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a table."""

    cells: tuple[str, ...]
    tone: Tone = "plain"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A small table; its first column holds names, the others numbers."""

    title: str
    header: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page: a title, sections, and notes."""

    name: str
    title: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    extent: str = ""
    """the rows, seeds and runs that it is about, in words"""


@dataclass(frozen=True)
class OurColumn:
    """A column of measurements, computed from measured values only."""

    name: str
    cell: Callable[[Measured], str]


@dataclass(frozen=True)
class PaperColumn:
    """A column of published values, with a heading that says so."""

    name: str
    cell: Callable[[Published], str]


Column = OurColumn | PaperColumn


def section(title: str, columns: Sequence[Column], rows: Sequence[TableRow], *, verdicts: bool = False) -> Section:
    """Return a section with one line for each of `rows`.

    With `verdicts`, resolved rows are bold and unresolved ones grey. Use it only where differences
    are tested: a cost without an interval is never bold.
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
    """Return the tone of a row: an unresolved one is grey."""
    if row.measured.resolved:
        return "resolved"
    return "unresolved" if row.measured.role == "row" and not row.measured.equal else "plain"
