"""The page over all sweeps: what of the paper has been run, at which scale, and how it agrees."""

from collections.abc import Mapping, Sequence
from typing import Any

from mta_lab.report.index import entry, index_page
from mta_lab.report.table import Table
from mta_lab.sweep.ledger import contents
from mta_lab.theme.pages import filled
from mta_lab.words import counted


def index_html(tables: Sequence[Table], links: Mapping[str, str]) -> str:
    """The page; `links` holds the file of each sweep's own page."""
    found = {table.sweep.name: entry(table) for table in tables}
    coverage = [_covered(item, shown, found) for item, shown in contents().items()]
    done = sum(line["state"] == "run" for line in coverage)
    finished = sum(line["rows_finished"] == line["rows_planned"] for line in found.values())
    tiles = [
        ("of the paper's results run", f"{done} of {len(coverage)}"),
        ("scale", tables[0].sweep.scale),
        ("sweeps finished", f"{finished} of {len(found)}"),
        ("cells finished", f"{len(_fingerprints(tables)):,}"),
    ]
    return filled("report/html/index.html.j2", page=index_page(tables), tiles=tiles, coverage=coverage, links=links)


def _fingerprints(tables: Sequence[Table]) -> set[str]:
    """Of the finished cells; sweeps share some."""
    records = [record for table in tables for row in table.rows for record in row.measured.records.values()]
    return {record.fingerprint for record in records}


def _covered(item: str, shown: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A table or figure of the paper: its sweeps, and how far the furthest of them is."""
    sweeps = [found[name] for name in shown["sweeps"]]
    finished = max((line["rows_finished"] / line["rows_planned"] for line in sweeps), default=None)
    return {
        "item": item,
        "shows": shown["shows"],
        "state": "no sweep" if finished is None else _state(finished),
        "sweeps": [{"name": line["sweep"], "agreement": _agreement(line)} for line in sweeps],
    }


def _state(finished: float) -> str:
    return "run" if finished == 1 else "begun" if finished else "not run yet"


def _agreement(line: Mapping[str, Any]) -> str:
    """What a sweep says for or against the paper, in few words."""
    parts = [f"{line['rows_finished']} of {counted(line['rows_planned'], 'row')}"]
    if line["signs_compared"]:
        parts.append(f"{line['signs_same']} of {line['signs_compared']} resolved signs agree")
    if line["tau"] is not None:
        parts.append(f"tau {line['tau']:+.2f}")
    return ", ".join(parts)
