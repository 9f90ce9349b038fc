"""A row against its baseline: the difference, its p-values, and what so many seeds can see."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.05
"""of intervals, and of a table's verdicts over all its rows and looks"""
POWER = 0.8
"""the chance of seeing an effect that detection limits and `seeds_needed` ask for"""
MOST_SEEDS = 100
"""beyond it, a number of seeds is no advice"""
EFFECT = 0.02
"""the effect whose power a report states, unless told otherwise: relative, or points of a share"""
EQUAL_WITHIN = 0.01
"""the largest difference that still counts as equal, unless the sweep says otherwise"""


@dataclass(frozen=True, kw_only=True)
class Question:
    """The question that a comparison answers, on the scale of deltas."""

    level: float
    """of a single row: the table's, shared among its rows and looks"""
    effect: float = EFFECT
    """the effect whose power is stated"""
    within: float = EQUAL_WITHIN
    """two rows are equal if they differ by less"""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A difference: of perplexities relative (-0.02 is 2 % lower), of error rates absolute.

    Of error rates, -0.02 is 2 points lower.
    """

    delta: float
    low: float
    high: float
    """95 % interval of this one contrast"""
    p: float
    """that the rows are the same; of this one contrast, not corrected for the others"""
    p_equal: float
    """that the rows differ by `Question.within` or more, by two one-sided tests; not corrected"""
    seeds: int
    """that it is over"""
    find_limit: Callable[[], float | None] = field(compare=False, repr=False)
    power_with: Callable[[int], float] = field(compare=False, repr=False)
    """chance of seeing `Question.effect` with so many seeds under this noise"""

    # Most tables state these of one row, and have thousands.
    @cached_property
    def limit(self) -> float | None:
        """Return the smallest difference that is seen with `POWER`; None if none is."""
        return self.find_limit()

    @property
    def power(self) -> float:
        """Return the chance of seeing `Question.effect` with these seeds."""
        return self.power_with(self.seeds)

    @property
    def seeds_needed(self) -> int:
        """Return the seeds that see it with `POWER`; MOST_SEEDS + 1 stands for more."""
        return seeds_needed(self.power_with)


def seeds_needed(power: Callable[[int], float]) -> int:
    """Return the smallest number of seeds, 2 or more, with enough `power`; else MOST_SEEDS + 1.

    The power grows with the seeds.
    """
    return 2 + bisect_left(range(2, MOST_SEEDS + 1), POWER, key=power)


def adjusted(p_values: Array) -> Array:
    """Return the p-values after Holm's correction for their number, in their order.

    `p_values` has one number a planned comparison; 1 for one that has no result yet. Holm 1979,
    Scandinavian Journal of Statistics 6.
    """
    order, result = np.argsort(p_values, kind="stable"), np.empty(len(p_values))
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    result[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return result
