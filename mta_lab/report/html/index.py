"""Write the page over all sweeps: which of the paper's rows are run, at which scale, and agree."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mta_lab.report.index import entry, index_conditions, index_page
from mta_lab.report.table import Table
from mta_lab.sweep.ledger import contents, ledger
from mta_lab.theme.pages import filled
from mta_lab.words import counted


def index_html(tables: Sequence[Table], links: Mapping[str, str]) -> str:
    """Return the page; `links` has the file of each sweep's own page, by the sweep's name."""
    found = {table.sweep.name: entry(table) for table in tables}
    reproduced = _reproduced(tables)
    coverage = [_covered(item, shown, found, reproduced) for item, shown in contents().items()]
    done = sum(line["kind"] == "run" for line in coverage)
    finished = sum(line["rows_finished"] == line["rows_planned"] for line in found.values())
    tiles = [
        ("tables and figures of the paper with all runs", f"{done} of {len(coverage)}"),
        ("scale and settings", index_conditions(tables)),
        ("sweeps finished", f"{finished} of {len(found)}"),
        ("runs finished", f"{len(_fingerprints(tables)):,}"),
    ]
    return filled("report/html/index.html.j2", page=index_page(tables), tiles=tiles, coverage=coverage, links=links)


def _fingerprints(tables: Sequence[Table]) -> set[str]:
    """Return the fingerprints of the finished runs; sweeps may share runs."""
    records = [record for table in tables for row in table.rows for record in row.measured.records.values()]
    return {record.fingerprint for record in records}


def _reproduced(tables: Sequence[Table]) -> set[str]:
    """Return the references whose rows have all their seeds in some sweep that ships.

    Sweeps of the user's do not count: their rows may be other models.
    """
    shipped = [table for table in tables if table.sweep.file is None]
    rows = [row for table in shipped for row in table.rows if row.measured.complete and row.measured.role != "A/A"]
    return {reference for row in rows for reference in row.published.references}


def _covered(
    item: str, shown: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], reproduced: Collection[str]
) -> dict[str, Any]:
    """Return how much of a table or figure of the paper is finished, and the sweeps of it.

    The rows that count are those that the paper printed; for a figure without numbers, those of its
    sweeps.
    """
    sweeps = [found[name] for name in shown["sweeps"]]
    if "values" in shown:
        table = shown["values"]
        rows = [f"{table}.{row}" in reproduced for row in ledger()[table]]
        finished, planned = sum(rows), len(rows)
    else:
        finished, planned = (sum(line[count] for line in sweeps) for count in ("rows_finished", "rows_planned"))
    kind = "no-sweep" if not sweeps else "run" if finished == planned else "begun" if finished else "not-run-yet"
    return {
        "item": item,
        "shows": shown["shows"],
        "kind": kind,
        "state": f"{finished} of {counted(planned, 'row')}" if sweeps else shown.get("agrees", "not yet"),
        "commands": shown.get("commands", ()),
        "sweeps": [{"name": line["sweep"], "agreement": _agreement(line)} for line in sweeps],
    }


def _agreement(line: Mapping[str, Any]) -> str:
    """Return a few words on a sweep: its finished rows, signs and rank correlation."""
    parts = [f"{line['rows_finished']} of {counted(line['rows_planned'], 'row')}"]
    if line["signs_compared"]:
        agree = "agrees" if line["signs_compared"] == 1 else "agree"
        parts.append(f"{line['signs_same']} of {counted(line['signs_compared'], 'resolved sign')} {agree}")
    if line["tau"] is not None:
        parts.append(f"tau {line['tau']:+.2f}")
    return ", ".join(parts)
