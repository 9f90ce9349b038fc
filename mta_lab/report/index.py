"""Put all sweeps into one table: progress, resolved rows, agreement with the paper."""

import json
from collections.abc import Sequence
from typing import Any

from mta_lab.report.families import families_note, families_of, holds
from mta_lab.report.numbers import or_dash
from mta_lab.report.page import Line, Page, Section
from mta_lab.report.spreadsheet import written
from mta_lab.report.table import Table
from mta_lab.sweep.naming import conditions, in_settings, shown_as

USUAL_SCALE = "nano"
HEADER = (
    "sweep",
    "scale and settings",
    "rows finished",
    "published rows finished",
    "resolved",
    "verdicts over all",
    "agree in sign",
    "tau [95 %]",
    "A/A",
)


def index_page(tables: Sequence[Table]) -> Page:
    """Return the index as a page."""
    families = families_of(tables)
    lines = tuple(Line(cells=_cells(entry(table, families.count))) for table in tables)
    return Page(
        name="all",
        title=f"All sweeps ({index_conditions(tables)})" if tables else "All sweeps",
        sections=(Section(title="Rows, and agreement with the paper", header=HEADER, lines=lines),),
        notes=(
            "Rows finished: those with a score under every seed. Resolved: of the rows that are compared with a "
            "baseline, those whose delta differs from 0 at 5 % after Holm's correction over the rows of the sweep (not "
            "over all sweeps). Verdicts over all: of the rows that differ or are equal, those that do so over all "
            "sweeps. Agree in sign: of the resolved rows with a published difference beyond the paper's own "
            "noise, those that differ in the same direction. tau: Kendall's rank correlation of our rows with the "
            "paper's, with the interval that it would have without noise. A/A: the baseline compared with itself on "
            "other random numbers, or by another implementation; passed if they do not differ.",
            *filter(None, [families_note(families)]),
        ),
    )


def index_name(tables: Sequence[Table]) -> str:
    """Return the name of the page over these tables.

    It is `index` at the usual scale and settings, and `index` with what differs from these after it
    otherwise.
    """
    scale, changed = tables[0].sweep.scale, _changed(tables)
    return shown_as("index", scale, changed) if changed or scale != USUAL_SCALE else "index"


def index_conditions(tables: Sequence[Table]) -> str:
    """Return the scale, and the settings changed on the command line, in words."""
    return conditions(tables[0].sweep.scale, _changed(tables))


def _changed(tables: Sequence[Table]) -> dict[str, Any]:
    """Return the settings that the command line changes in any of the sweeps."""
    return {key: value for table in tables for key, value in table.sweep.settings.items()}


def entry(table: Table, families: int = 1) -> dict[str, Any]:
    """Return a sweep's line of the index, among so many sweeps that make claims."""
    agreement, measured = table.agreement, [row.measured for row in table.rows]
    passed = [row.passed for row in measured if row.role == "A/A"]
    return {
        "sweep": table.sweep.name,
        "title": table.sweep.title,
        "scale": table.sweep.scale,
        "changed": ", ".join(in_settings(table.sweep.settings)),
        "rows_planned": len(measured),
        "rows_finished": sum(row.complete for row in measured),
        "rows_published": agreement.published,
        "rows_published_finished": agreement.finished,
        "rows_compared": sum(row.role == "row" for row in measured),
        "rows_resolved": sum(row.resolved for row in measured if row.role == "row"),
        "verdicts": sum(row.resolved or row.equal for row in measured if row.role == "row"),
        "verdicts_over_all": sum(holds(row, families) for row in measured if row.role == "row"),
        "signs_compared": agreement.resolved,
        "signs_same": agreement.same_sign,
        "signs_undecided": agreement.undecided,
        "signs_chance": agreement.chance,
        "tau": agreement.tau and agreement.tau.value,
        "tau_interval": agreement.tau and agreement.tau.interval,
        "aa_passed": None if not passed or None in passed else all(passed),
        "aa_rows": len(passed),
    }


def index_json(tables: Sequence[Table]) -> str:
    """Return the index as a JSON list of objects, one a sweep."""
    return json.dumps([entry(table, families_of(tables).count) for table in tables], indent=2)


def index_csv(tables: Sequence[Table]) -> str:
    """Return the index as CSV, one line a sweep."""
    lines = []
    families = families_of(tables).count
    for values in (entry(table, families) for table in tables):
        low, high = values.pop("tau_interval") or (None, None)
        lines.append({**values, "tau_low": low, "tau_high": high})
    return written(lines)


def _cells(found: dict[str, Any]) -> tuple[str, ...]:
    tau = or_dash(found["tau"], lambda tau: f"{tau:+.2f}")
    if found["tau_interval"]:
        tau += " [{:+.2f}, {:+.2f}]".format(*found["tau_interval"])
    verdict = {True: "passed", False: "FAILED", None: "pending"}[found["aa_passed"]] if found["aa_rows"] else "-"

    def part(some: str, of: str) -> str:
        return f"{found[some]} of {found[of]}" if found[of] else "-"

    return (
        found["sweep"],
        ", ".join([found["scale"], *([found["changed"]] if found["changed"] else [])]),
        part("rows_finished", "rows_planned"),
        part("rows_published_finished", "rows_published"),
        part("rows_resolved", "rows_compared"),
        part("verdicts_over_all", "verdicts"),
        part("signs_same", "signs_compared"),
        tau,
        verdict,
    )
