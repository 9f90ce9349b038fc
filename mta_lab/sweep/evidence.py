"""Read what a sweep says of its evidence beforehand: when it is looked at, what is equal."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from mta_lab.config import scales
from mta_lab.errors import UserError, nearest

EQUAL_WITHIN = "1%"
"""the default of `equal_within`"""
MOST = 50.0  # percent: a larger difference is nobody's equality


def read_looks(value: Any, scale: str, where: str) -> tuple[int, ...]:
    """Return the numbers of seeds at which a sweep is looked at; none where it says none.

    `value` is a list, or a mapping of scales to lists.

    Raises:
        UserError: it is another thing, names an unknown scale, or the numbers do not rise.
    """
    if isinstance(value, Mapping):
        for name in value:
            if name not in scales():
                hint = nearest(name, scales()) or ";"
                raise UserError(f"{where}.{name}: no such scale{hint} known: {', '.join(scales())}")
        if scale not in value:
            return ()
        value, where = value[scale], f"{where}.{scale}"
    elif value is None:
        return ()
    whole = isinstance(value, list) and all(type(count) is int for count in value)
    if not whole or not value or value[0] < 2 or any(b <= a for a, b in pairwise(value)):
        allowed = "rising numbers of seeds, 2 or more each, like [3, 6, 12], or scales with such lists"
        raise UserError(f"{where}: got {value!r}, allowed: {allowed}")
    return tuple(value)


def refuse_later_seeds(seeds: int, looks: Sequence[int], where: str, given: str) -> None:
    """Raise UserError if more `seeds` are asked for, in `given`, than the last of the looks has."""
    if looks and seeds > looks[-1]:
        raise UserError(
            f"{given}: got {seeds}, but {where} ends at {looks[-1]}; seeds after the last look would count for "
            f"nothing: ask for {looks[-1]} at most, or declare a later look before the first result is seen"
        )


def read_share(value: Any, where: str) -> float:
    """Return a share that is written in percent: 0.01 of `1%`; points, of error rates.

    Raises:
        UserError: it is no percentage above 0 and up to 50.
    """
    number = value.strip().removesuffix("%") if isinstance(value, str) and value.strip().endswith("%") else ""
    try:
        share = float(number)
    except ValueError:
        share = 0.0
    if not 0 < share <= MOST:
        raise UserError(f"{where}: got {value!r}, allowed: a percentage above 0% and up to {MOST:.0f}%, like 1%")
    return share / 100


def look_seeds(looks: Sequence[int], seeds: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the seeds that each look counts, of a sweep that has trained or will train `seeds`.

    A look with more seeds than these is not reached.
    """
    every = [*seeds, *range(max(seeds) + 1, max(seeds) + 1 + max(looks) - len(seeds))]
    return tuple(tuple(every[:count]) for count in looks)
