"""A table for people (rich, markdown, svg) and for programs (json)."""

import json
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from mta_lab.records import RESULTS
from mta_lab.report.table import Table, TableRow

FORMATS = ("rich", "markdown", "svg", "json")
PICTURE_WIDTH = 120  # characters


def render(table: Table, form: str, console: Console) -> None:
    """Print `table` to `console` in one of FORMATS."""
    if form == "rich":
        console.print(rich_table(table))
    else:
        text = {"markdown": markdown, "svg": svg, "json": as_json}[form](table)
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def rich_table(table: Table) -> RenderableType:
    """The table for a terminal, its notes below."""
    title = Text(f"{table.sweep.title} ({table.sweep.scale})")
    drawn = RichTable(
        title=title, box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False
    )  # 120 columns hold three seeds
    for index, name in enumerate(HEADER):
        drawn.add_column(name, justify="left" if index == 0 else "right")
    for row in table.rows:
        style = "bold" if table.resolved(row) else "none" if row.name == table.sweep.baseline else "dim"
        drawn.add_row(*map(Text, _cells(table, row)), style=style)  # Text: brackets in a name are no markup
    return Group(drawn, *(Text(note, style="dim") for note in notes(table)))


def markdown(table: Table) -> str:
    """The table as GitHub-flavoured Markdown."""
    lines = [f"### {table.sweep.title} ({table.sweep.scale})", "", "| " + " | ".join(HEADER) + " |"]
    lines.append("|" + "|".join([":--"] + ["--:"] * (len(HEADER) - 1)) + "|")
    cells = [[cell.replace("|", "\\|") for cell in _cells(table, row)] for row in table.rows]
    lines += ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes(table))])


def svg(table: Table) -> str:
    """The table as a picture of a terminal."""
    console = Console(record=True, width=PICTURE_WIDTH, file=StringIO(), force_terminal=True)
    console.print(rich_table(table))
    picture = console.export_svg(title=f"mta-lab report {table.sweep.name}")
    return re.sub(r"@font-face \{[^}]*\}", "", picture)  # fonts from the network; the reader's own will do


def as_json(table: Table) -> str:
    """Everything in the table at full precision; deltas are relative (-0.02 is 2 % lower)."""
    comparison = table.comparison
    document: dict[str, Any] = {
        "sweep": table.sweep.name,
        "title": table.sweep.title,
        "scale": table.sweep.scale,
        "baseline": table.sweep.baseline,
        "seeds": list(table.sweep.seeds),
        "noise": comparison.noise if comparison else None,
        "degrees_of_freedom": comparison.degrees if comparison else None,
        "provenance": list(table.provenance),
        "rows": [_json_row(table, row) for row in table.rows],
    }
    return json.dumps(document, indent=2)


def _json_row(table: Table, row: TableRow) -> dict[str, Any]:
    contrast = row.contrast
    return {
        "row": row.name,
        "parameters": row.parameters,
        "scores": dict(row.scores),
        "failed": {seed: failure.reason for seed, failure in row.failures.items()},
        "mean": row.mean,
        "domains": dict(row.domains),
        "delta": contrast.delta if contrast else None,
        "interval": [contrast.low, contrast.high] if contrast else None,
        "p_holm": contrast.p if contrast else None,
        "resolved": table.resolved(row),
        "tokens_per_second": row.tokens_per_second,
        "impl": row.implementation or None,
        "published": row.published,
        "published_delta": row.published_delta,
        "reference": row.reference or None,
    }


def notes(table: Table) -> list[str]:
    """What a reader has to know besides the numbers."""
    sweep, comparison = table.sweep, table.comparison
    lines = [sweep.about] if sweep.about else []
    lines.append(
        f"Scale {sweep.scale}: perplexities are not comparable with the paper's (880M parameters, 105B tokens); "
        "compare signs and ranks."
    )
    if references := ", ".join(f"{row.name} {row.reference}" for row in table.rows if row.reference):
        lines.append(f"paper: as printed in arXiv 2504.00927: {references}.")
    if len(table.rows) == 1:
        lines += [f"{domain}: {value:.2f}" for domain, value in table.rows[0].domains.items()]
    elif comparison:
        lines.append(
            f"delta: against {sweep.baseline}, paired over seeds, with its own 95 % interval. * resolved at 5 % after "
            f"Holm's correction over {len(comparison.contrasts)} rows; otherwise unresolved. Noise of one run: "
            f"{comparison.noise:.2%} ({comparison.degrees} degrees of freedom), over seeds on a fixed validation text."
        )
    else:
        lines.append("delta: needs the baseline, another row and two seeds.")
    total = len(table.rows) * len(sweep.seeds)
    if table.finished < total:
        lines.append(f"{table.finished} of {total} cells finished; a mean is over those of its row.")
    lines += [
        f"Failed: {failure.label}: {failure.reason}; traceback in {RESULTS}/failed/{failure.fingerprint}.json"
        for failure in table.failures
    ]
    return lines + [f"Measured on {place}." for place in table.provenance]


HEADER = ("row", "params", "perplexity by seed", "mean", "delta [95 %]", "paper, delta", "tokens/s", "impl")


def _cells(table: Table, row: TableRow) -> list[str]:
    return [
        row.name,
        f"{row.parameters:,}",
        " ".join(_seed_cell(row, seed) for seed in table.sweep.seeds),
        _or_dash(row.mean, lambda mean: f"{mean:.2f}"),
        _delta_cell(table, row),
        _or_dash(row.published, lambda value: f"{value:.2f} {_published_delta(table, row):>6}"),
        _or_dash(row.tokens_per_second, lambda speed: f"{speed:,.0f}"),
        row.implementation or "-",
    ]


def _seed_cell(row: TableRow, seed: int) -> str:
    if seed in row.scores:
        return f"{row.scores[seed]:.2f}"
    return "failed" if seed in row.failures else "pending"


def _delta_cell(table: Table, row: TableRow) -> str:
    if row.name == table.sweep.baseline:
        return "baseline"
    if row.contrast is None:
        return "-"
    mark = " *" if table.resolved(row) else ""
    return f"{row.contrast.delta:+.2%} [{row.contrast.low:+.2%}, {row.contrast.high:+.2%}]{mark}"


def _published_delta(table: Table, row: TableRow) -> str:
    if row.name == table.sweep.baseline:
        return "-"
    return _or_dash(row.published_delta, lambda delta: f"{delta:+.2%}")


def _or_dash(value: float | None, form: Callable[[float], str]) -> str:
    return "-" if value is None else form(value)
