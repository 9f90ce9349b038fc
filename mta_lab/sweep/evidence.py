"""Read what a sweep says of its evidence beforehand: when it is looked at, what is equal."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mta_lab.errors import UserError

EQUAL_WITHIN = "1%"
"""the default of `equal_within`"""
MOST = 50.0  # percent: a larger difference is nobody's equality


def read_looks(value: Any, seeds: int, where: str, given: str) -> tuple[int, ...]:
    """Return the numbers of seeds at which a sweep is looked at; none where it says none.

    `seeds` is how many it trains, and `given` names what they come from, for errors.
    """
    if value is None:
        return ()
    whole = isinstance(value, list) and all(type(count) is int for count in value)
    if not whole or not value or value[0] < 2 or any(b <= a for a, b in pairwise(value)):
        raise UserError(f"{where}: got {value!r}, allowed: rising numbers of seeds, 2 or more each, like [3, 6, 12]")
    if seeds > value[-1]:
        raise UserError(
            f"{given}: got {seeds}, but {where} ends at {value[-1]}; seeds after the last look would count for "
            f"nothing: ask for {value[-1]} at most, or declare a later look before the first result is seen"
        )
    return tuple(value)


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
