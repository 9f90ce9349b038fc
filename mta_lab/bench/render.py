"""Draw comparisons as tables for a terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from mta_lab.bench.results import Comparison, Contestant, Measure, Report
from mta_lab.words import counted


def tables(report: Report) -> RenderableType:
    """Return every comparison as a table with its notes, then how and where all was measured."""
    place = report.provenance
    where = (
        f"Measured on {place['machine']}, {counted(place['threads'], 'thread')}; torch {place['torch']}, Python "
        f"{place['python']}, commit {place['commit']}; {place['dtype']}; allocator: {place['allocator']}."
    )
    ends = (Text(note, style="dim") for note in (*report.notes, where))
    return Group(*(_table(comparison) for comparison in report.comparisons), *ends)


def _table(comparison: Comparison) -> RenderableType:
    quantities = list(dict.fromkeys(name for one in comparison.contestants for name in one.measures))
    facts = list(dict.fromkeys(name for one in comparison.contestants for name in one.facts))
    printed = any(one.published for one in comparison.contestants)
    drawn = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    drawn.add_column("")
    for quantity in quantities:
        drawn.add_column(Text(f"{quantity} [{_unit(comparison, quantity)}]"), justify="right")
        drawn.add_column(f"x {comparison.baseline.name}", justify="right")
        if printed:
            drawn.add_column("paper", justify="right")
    for fact in facts:
        drawn.add_column(fact, justify="right")
    for one in comparison.contestants:
        cells = [one.name]
        for quantity in quantities:
            cells += _cells(comparison, one, quantity)[: 3 if printed else 2]
        drawn.add_row(*map(Text, (*cells, *(one.facts.get(fact, "-") for fact in facts))))
    return Group(
        Text(comparison.title, style="bold"), drawn, *(Text(note, style="dim") for note in comparison.notes), Text("")
    )


def _cells(comparison: Comparison, one: Contestant, quantity: str) -> list[str]:
    """Return the median with its quartiles, the ratio to the baseline, and the paper's ratio."""
    measure, ratio, paper = one.measures.get(quantity), comparison.ratio(one, quantity), one.published.get(quantity)
    return [
        "-" if measure is None else _measure(measure),
        "-" if ratio is None else f"{ratio:.2f}",
        "-" if paper is None else f"{paper:.2f}",
    ]


def _unit(comparison: Comparison, quantity: str) -> str:
    units = {one.measures[quantity].unit for one in comparison.contestants if quantity in one.measures}
    return {"s": "ms", "bytes": "MB"}[units.pop()]


def _measure(measure: Measure) -> str:
    factor = {"s": 1e3, "bytes": 1e-6}[measure.unit]
    median, (low, high) = measure.median * factor, (value * factor for value in measure.quartiles)
    digits = 2 if median < 10 else 1 if median < 100 else 0
    spread = f" ({low:.{digits}f}-{high:.{digits}f})" if len(measure.values) > 1 else ""
    return f"{median:,.{digits}f}{spread}"
