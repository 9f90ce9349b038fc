"""Put what the paper prints beside the written tables: what is measured, and how well it agrees."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.metrics import METRICS, Metric
from mta_lab.report.limits import size
from mta_lab.report.numbers import or_dash
from mta_lab.report.sizes import ratio_in_words
from mta_lab.report.stale import SHOWN, read
from mta_lab.sweep import shipped_sweeps
from mta_lab.sweep.ledger import contents
from mta_lab.words import counted

HEADER = (
    "of the paper",
    "command",
    "scale",
    "tokens a parameter",
    "seeds",
    "better, worse, equal, unresolved",
    "detection limit",
    "signs (each improves; chance)",
    "correlation [95 %]",
    "tau [95 %]",
    "table",
)
VERDICTS = ("better", "worse", "equal", "unresolved")
Written = Mapping[str, Any]
"""a table as JSON; those of earlier versions lack what these did not compute"""


def items(folder: Path) -> str:
    """Return a Markdown table with a line for each written table in `folder`.

    They stand in the paper's order, those that are ours last. A sweep without a written table has a
    line, too, and so has a command that shows an item of which no sweep is. What the paper shows
    and nothing here reproduces is listed below.
    """
    tables = [read(file) for file in sorted(folder.glob("*.json"))]
    shown = {item: list(about["sweeps"]) for item, about in contents().items()}
    printed = {sweep for sweeps in shown.values() for sweep in sweeps}
    shown["ours"] = [sweep for sweep in shipped_sweeps() if sweep not in printed]
    lines = [
        cells
        for item, sweeps in shown.items()
        for cells in [
            *(one for sweep in sweeps for one in _lines(item, sweep, [t for t in tables if t["sweep"] == sweep])),
            *_by_command(item),
        ]
    ]
    drawn = ["| " + " | ".join(cells) + " |" for cells in (HEADER, *lines)]
    drawn.insert(1, "|" + "|".join([":--"] * 3 + ["--:"] * (len(HEADER) - 3)) + "|")
    without = [f"{item} ({about['shows']})" for item, about in contents().items() if not reproduced(about)]
    return "\n".join([*drawn, *(["", f"Nothing here reproduces: {'; '.join(without)}."] if without else [])])


def reproduced(about: Mapping[str, Any]) -> bool:
    """Return whether a sweep or a command shows an item of the paper."""
    return bool(about["sweeps"] or about.get("commands"))


def _by_command(item: str) -> list[tuple[str, ...]]:
    """Return a line for each command that shows an item which is no table of a sweep."""
    about = contents().get(item, {})
    rest = ["-"] * (len(HEADER) - 4)
    return [(item, f"`{command}`", about["scale"], *rest, about["agrees"]) for command in about.get("commands", ())]


def _lines(item: str, sweep: str, tables: list[Written]) -> list[tuple[str, ...]]:
    if not tables:
        return [(item, f"`mta-lab sweep {sweep}`", *["-"] * (len(HEADER) - 3), "none yet")]
    by_cost = "values" in contents().get(item, {})  # what the paper prints there is no score of any row
    return [
        (
            item,
            f"`mta-lab sweep {sweep}`",
            *_cells(table, by_cost=by_cost and not (table["coverage"]["published"] or table.get("evaluate"))),
        )
        for table in tables
    ]


def _cells(table: Written, *, by_cost: bool) -> tuple[str, ...]:
    metric = METRICS[table.get("metric") or table["quantity"]]
    agreement = table["agreement"]
    verdicts = [_verdict(row, metric) for row in table["rows"] if row["role"] == "row" and row["delta"] is not None]
    counts = ", ".join(str(verdicts.count(verdict)) for verdict in VERDICTS)
    return (
        table["scale"],
        or_dash(table.get("tokens_per_parameter"), lambda ends: ratio_in_words(*ends)),
        _seeds(table),
        "compared by cost" if by_cost else counts,
        "-" if by_cost else or_dash(table.get("detection_limit"), lambda limit: size(limit, metric)),
        _signs(agreement),
        _coefficient(agreement.get("correlation")),
        _coefficient(agreement["tau"]),
        "**stale**" if table.get(SHOWN) else _finished(table),
    )


def _seeds(table: Written) -> str:
    """Return how many seeds verdicts are of, and of how many planned ones where looks are left."""
    looks, planned = table.get("looks") or {"used": 0}, len(table["seeds"])
    counted = looks["seeds"][looks["used"] - 1] if looks["used"] else planned
    return str(planned) if counted == planned else f"{counted} of {planned}"


def _verdict(row: Written, metric: Metric) -> str:
    """Return the verdict on a row; tables of earlier versions say only whether it is resolved."""
    if "verdict" in row or not row["resolved"]:
        return row.get("verdict") or "unresolved"
    return "better" if metric.is_better(row["delta"]) else "worse"


def _signs(agreement: Written) -> str:
    """Return how many signs agree, beside what a guess and chance score."""
    if not agreement["resolved"]:
        return "-"
    said = f"{agreement['same_sign']} of {agreement['resolved']}"
    chance = agreement.get("same_sign_chance")
    return said if chance is None else f"{said} ({agreement['published_better']}; {chance:.0%})"


def _coefficient(found: Any) -> str:
    """Return a coefficient with its interval; earlier versions had another interval of tau."""
    if not isinstance(found, Mapping):
        return "-"
    low, high = found["interval"] or (None, None)
    return f"{found['value']:+.2f}" + ("" if low is None else f" [{low:+.2f}, {high:+.2f}]")


def _finished(table: Written) -> str:
    runs = table["runs"]
    if runs["finished"] == runs["planned"]:
        return "current"
    return f"{runs['finished']} of {counted(runs['planned'], 'run')}"
