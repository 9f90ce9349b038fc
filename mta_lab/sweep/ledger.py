"""The paper ledger, `sweeps/paper.yaml`: every published value stands there once, and rows refer to it."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from mta_lab.errors import UserError, nearest
from mta_lab.sweep.files import SHIPPED, read_yaml

LEDGER = "paper"
CONTENTS = "contents"


def published(references: Any, where: str) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """What the paper printed under `references` (one like `table5.11`, or a list), by quantity, and these as a tuple.

    Raises UserError for a row that the ledger lacks, and where two give one quantity.
    """
    named: Sequence[Any] = references if isinstance(references, list) else [references]
    values: dict[str, Any] = {}
    for reference in named:
        row = _entry(reference, where)
        if both := sorted(values.keys() & row.keys()):
            raise UserError(f"{where}: published: {', '.join(named)}: {both[0]} stands in two of them; name one")
        values |= row
    return values, tuple(named)


def published_value(reference: str, quantity: str) -> float:
    """One value of the ledger, as `published_value("table9.transformer", "memory_gb")`."""
    return float(_entry(reference, "ledger")[quantity])


def _entry(reference: Any, where: str) -> Mapping[str, Any]:
    rows = {f"{table}.{name}": row for table, rows in ledger().items() for name, row in rows.items()}
    if not isinstance(reference, str) or reference not in rows:
        hint = nearest(str(reference), rows) or ";"
        allowed = "a row of the paper ledger, like table5.11, or a list of them"
        raise UserError(f"{where}: published: got {reference!r}{hint} allowed: {allowed}")
    return rows[reference]


def ledger() -> Mapping[str, Mapping[Any, Mapping[str, Any]]]:
    """Tables, their rows, and what the paper printed for each, by quantity."""
    return {table: rows for table, rows in _file().items() if table != CONTENTS}


def contents() -> Mapping[str, Mapping[str, Any]]:
    """The paper's tables and figures: what each `shows`, and the `sweeps` that reproduce it."""
    found: Mapping[str, Mapping[str, Any]] = _file()[CONTENTS]
    return found


@cache
def _file() -> Mapping[str, Any]:
    return read_yaml(SHIPPED / f"{LEDGER}.yaml", f"sweeps/{LEDGER}.yaml")
