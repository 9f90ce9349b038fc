"""The configuration of a table's rows: what all of them share, and what each sets besides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mta_lab.config import flatten
from mta_lab.report.table import Table

NOT_A_ROWS = "seed"  # a row is trained under several


@dataclass(frozen=True)
class Settings:
    """Flattened settings; together, a row's own and the common ones are its whole configuration."""

    common: Mapping[str, Any]
    """settings that have one value in all rows"""
    own: Mapping[str, Mapping[str, Any]]
    """the others, by row"""


def settings_of(table: Table) -> Settings:
    """Return the settings of the table's rows."""
    every = {
        shown.name: {key: value for key, value in flatten(row.config).items() if key != NOT_A_ROWS}
        for row, shown in zip(table.sweep.rows, table.rows, strict=True)
    }
    first, *others = every.values()
    common = {key: value for key, value in first.items() if all(key in row and row[key] == value for row in others)}
    own = {name: {key: value for key, value in row.items() if key not in common} for name, row in every.items()}
    return Settings(common, own)
