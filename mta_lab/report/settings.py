"""Separate the settings that all rows of a table share from those of each row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mta_lab.config import flatten
from mta_lab.report.table import Table

NOT_A_ROWS = "seed"  # a row has several


@dataclass(frozen=True)
class Settings:
    """Flattened settings: a row's configuration is the common ones and its own."""

    common: Mapping[str, Any]
    """settings with one value in all rows"""
    own: Mapping[str, Mapping[str, Any]]
    """the other settings, by row"""


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
