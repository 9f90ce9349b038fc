"""The paper ledger, `sweeps/paper.yaml`: it holds every published value once; rows refer to it."""

import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from components.metrics import Metric
from mta_lab.config import read_yaml
from mta_lab.errors import UserError, nearest
from mta_lab.sweep.files import SHIPPED
from mta_lab.sweep.keys import PUBLISHED, names

LEDGER = "paper"
UNDECIDED, CAUTIONS, CONTENTS = "undecided", "cautions", "contents"
OWN_ALLOWED = "published: {value: 10.9, source: 'arXiv:...'}, with std and runs where they are known"


def published(given: Any, metric: Metric, where: str) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return what was published for a row, by name, and where: ledger entries or sources.

    `given` is a reference like `table5.11`, a value of the sweep's `metric` with its source, or a
    list of them. Raises UserError for a row that the ledger lacks, and where two give the same.
    """
    several: Sequence[Any] = given if isinstance(given, list) else [given]
    values: dict[str, Any] = {}
    sources: list[str] = []
    for one in several:
        row, source = _own(one, metric, where) if isinstance(one, Mapping) else (_entry(one, where), str(one))
        if both := sorted(values.keys() & row.keys()):
            raise UserError(
                f"{where}: published: {both[0]} is given by {sources[-1]} and by {source}; name one of them"
            )
        values |= row
        sources.append(source)
    return values, tuple(sources)


def published_value(reference: str, name: str) -> float:
    """One value of the ledger, as `published_value("table9.transformer", "memory_gb")`."""
    return float(_entry(reference, "ledger")[name])


def _own(given: Mapping[str, Any], metric: Metric, where: str) -> tuple[Mapping[str, Any], str]:
    """Return a value that a sweep file itself gives, and its source.

    A share is written as one: 0.1 and not 10 %.
    """
    for key in given:
        if key not in names(PUBLISHED):
            hint = nearest(str(key), names(PUBLISHED)) or ";"
            raise UserError(f"{where}: published.{key}: no such key{hint} allowed: {OWN_ALLOWED}")
    source, runs = given.get("source"), given.get("runs", 1)
    if not isinstance(source, str) or not source.strip():
        raise UserError(f"{where}: published.source: got {source!r}; a value needs its source; allowed: {OWN_ALLOWED}")
    if not isinstance(runs, int) or isinstance(runs, bool) or runs < 1:
        raise UserError(f"{where}: published.runs: got {runs!r}, allowed: 1 or more")
    least, most = metric.least, min(metric.most, sys.float_info.max)
    limits = {"value": (least, most), "std": (0.0, most)}
    for key in limits.keys() & {"value", *given}:
        _check_number(given.get(key), *limits[key], f"{where}: published.{key}")
    return {metric.name: given["value"], **{key: given[key] for key in ("std", "runs") if key in given}}, source.strip()


def _check_number(value: Any, least: float, most: float, where: str) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        allowed = f"{least:g} to 1" if most == 1 else f"{least:g} or more"
        raise UserError(f"{where}: got {value!r}, allowed: a number, {allowed}")


def _entry(reference: Any, where: str) -> Mapping[str, Any]:
    rows = entries()
    if not isinstance(reference, str) or reference not in rows:
        hint = nearest(str(reference), rows) or ";"
        allowed = "a row of the paper ledger, like table5.11, or {value: 10.9, source: 'arXiv:...'}, or a list of them"
        raise UserError(f"{where}: published: got {reference!r}{hint} allowed: {allowed}")
    return rows[reference]


def entries() -> Mapping[str, Mapping[str, Any]]:
    """Return every row of the ledger by its reference, `table5.11`."""
    return {f"{table}.{name}": row for table, rows in ledger().items() for name, row in rows.items()}


def ledger() -> Mapping[str, Mapping[Any, Mapping[str, Any]]]:
    """Tables, their rows, and what the paper printed for each, by name."""
    return {table: rows for table, rows in _file().items() if table not in (UNDECIDED, CAUTIONS, CONTENTS)}


def noise(references: Collection[str], metric: Metric) -> float:
    """Return the difference up to which two printed scores are undecided in the paper itself."""
    known = any(reference in entries() for reference in references)
    return float(_file()[UNDECIDED].get(metric.name, 0.0)) if known else 0.0


def cautions(references: Collection[str]) -> list[str]:
    """Return what a reader of these values has to know, a line for each of the ledger's tables."""
    tables = dict.fromkeys(reference.partition(".")[0] for reference in references if reference in entries())
    lines: Mapping[str, str] = _file()[CAUTIONS]
    return [f"{printed_name(table)}: {lines[table]}" for table in tables if table in lines]


def printed_name(table: str) -> str:
    """Return what the paper calls a table of the ledger: `Table 5` for `table5`."""
    return next((item for item, shown in contents().items() if shown.get("values") == table), table).partition(",")[0]


def contents() -> Mapping[str, Mapping[str, Any]]:
    """Return the paper's tables and figures, by name.

    Each says what it `shows`, where its `values` are and which `sweeps` reproduce it.
    """
    found: Mapping[str, Mapping[str, Any]] = _file()[CONTENTS]
    return found


@cache
def _file() -> Mapping[str, Any]:
    return read_yaml(SHIPPED / f"{LEDGER}.yaml", f"sweeps/{LEDGER}.yaml")
