"""Check the values that a user's ledger or sweep file gives as published."""

import math
import sys
from collections.abc import Mapping
from typing import Any

from components.metrics import METRICS
from mta_lab.errors import UserError

LARGEST = sys.float_info.max
LOSS = "loss"
"""a value in nats a token; rows that are scored by perplexity have its exponential"""
LIMITS = {LOSS: (0.0, math.floor(math.log(LARGEST))), "std": (0.0, LARGEST), "runs": (1.0, LARGEST)}


def check_number(value: Any, least: float, most: float, where: str) -> None:
    """Raise UserError unless a value is a number in these limits."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        limits = f", {least:g} or more" if most == LARGEST else f", {least:g} to {most:g}"
        raise UserError(f"{where}: got {value!r}, allowed: a number{limits if least > -LARGEST else ''}")


def check_row(row: Mapping[Any, Any], where: str) -> None:
    """Raise UserError unless a row of a ledger has numbers, or mappings to them like `domains`."""
    for name, value in row.items():
        if name == "domains" or isinstance(value, Mapping):
            check_numbers(value, f"{where}.{name}")
        else:
            metric = METRICS.get(name)
            usual = (metric.least, min(metric.most, LARGEST)) if metric else (-LARGEST, LARGEST)
            check_number(value, *LIMITS.get(name, usual), f"{where}.{name}")


def check_numbers(values: Any, where: str) -> None:
    """Raise UserError unless a value is a mapping of names to numbers."""
    for name, value in check_mapping(values, where, "names to numbers").items():
        check_number(value, -LARGEST, LARGEST, f"{where}.{name}")


def check_mapping(value: Any, where: str, of: str) -> Mapping[Any, Any]:
    """Return a value that is a mapping; raise UserError for any other."""
    if not isinstance(value, Mapping):
        raise UserError(f"{where}: got {value!r}, allowed: a mapping of {of}")
    return value
