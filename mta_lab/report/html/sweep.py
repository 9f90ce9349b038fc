"""Write the page of a sweep: its table, its figures, and the origin of both."""

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from mta_lab.config import in_words
from mta_lab.report.figures import figures
from mta_lab.report.html.captions import TITLES, captions
from mta_lab.report.index import entry
from mta_lab.report.limits import limits_of, size
from mta_lab.report.measured import Measured
from mta_lab.report.page import Page
from mta_lab.report.settings import settings_of
from mta_lab.report.table import Table
from mta_lab.results.records import Record
from mta_lab.theme.pages import filled
from mta_lab.theme.style import inline, styled

WIDTHS = {"wide": 8.0, "narrow": 4.0}  # inches: for a screen, and for a phone


def sweep_html(table: Table, page: Page, command: str, dashboard: str, index: str = "") -> str:
    """Return the page of a table.

    `command` is what trains its missing runs; `dashboard` is the address of MLflow, which has a
    page for each run. `index` is the file name of the page over all sweeps, empty where there is
    none.
    """
    drawn: dict[str, dict[str, Markup]] = {}
    said = captions(table)
    with styled():
        for size, width in WIDTHS.items():
            for name, figure in figures(table, width).items():
                picture = inline(figure, f"{name}-{size}")  # safe: matplotlib escapes the texts in a picture
                drawn.setdefault(name, {})[size] = Markup(picture)
    return filled(
        "report/html/sweep.html.j2",
        page=page,
        tiles=tiles(table),
        seeds={row.name: _seeds(row.measured, dashboard) for row in table.rows},
        figures=[{"name": name, "title": TITLES[name], "caption": said[name], **drawn[name]} for name in drawn],
        origin={
            "Command": [command],
            **_origin(record for row in table.rows for record in row.measured.records.values()),
        },
        dashboard=dashboard,
        index=index,
        settings=settings_of(table),
        in_words=in_words,
    )


def tiles(table: Table) -> list[tuple[str, str]]:
    """Return (name, value) of the numbers at the top: the progress, and the agreement."""
    found = entry(table)
    total = len(table.rows) * len(table.sweep.seeds)
    made = [("runs finished", f"{table.finished} of {total}")]
    if found["rows_compared"]:
        made.append(("rows resolved", f"{found['rows_resolved']} of {found['rows_compared']}"))
    if found["signs_compared"]:
        made.append(("resolved rows with the paper's sign", f"{found['signs_same']} of {found['signs_compared']}"))
    if found["tau"] is not None:
        around = " [{:+.2f}, {:+.2f}]".format(*found["tau_interval"]) if found["tau_interval"] else ""
        made.append((f"Kendall's tau with the paper's ranking{around}", f"{found['tau']:+.2f}"))
    made += [("noise of one run", f"{noise.deviation:.2%}") for noise in list(table.comparison.noise.values())[:1]]
    if limits := limits_of(table):
        made.append(("detection limit", size(limits.usual, table.sweep.metric)))
    if found["aa_rows"]:
        made.append(("A/A row", {True: "passed", False: "FAILED", None: "pending"}[found["aa_passed"]]))
    return made


def _seeds(row: Measured, dashboard: str) -> list[dict[str, str]]:
    """Return each planned seed's score or state, and the address of its MLflow run."""
    cells = []
    for seed in row.seeds:
        record = row.records.get(seed)
        cells.append(
            {
                "text": row.metric.written(record.score) if record else row.status(seed),
                "status": row.status(seed),
                "run": f"{dashboard}/#/runs/{record.run_id}" if record and record.run_id else "",
                "about": _about(row, seed),
            }
        )
    return cells


def _about(row: Measured, seed: int) -> str:
    """Return the text shown while a pointer rests on a seed."""
    if seed in row.failures:
        return f"seed {seed}: {row.failures[seed].reason}"
    return f"seed {seed}: run {row.records[seed].fingerprint}" if seed in row.records else f"seed {seed}"


def _origin(records: Iterable[Record]) -> Mapping[str, list[str]]:
    """Return the origin of results: each kind of fact with its distinct values."""
    found: dict[str, set[str]] = {}

    def note(name: str, value: Any) -> None:
        if value:
            found.setdefault(name, set()).add(str(value))

    for record in records:
        origin = record.provenance
        note("Commit", origin.get("commit"))
        note("Text", record.content_hash and f"content hash {record.content_hash[:16]}")
        note("Machine", f"{origin.get('machine')}; threads a run: {origin.get('threads')}")
        note(
            "Versions",
            ", ".join(f"{name} {origin[name]}" for name in ("python", "torch", "lightning") if name in origin),
        )
        note("Attention computed by", record.implementation)
        note("Finished", str(origin.get("finished", ""))[:10])
    return {name: sorted(values) for name, values in found.items()}
