"""A row against its baseline: the difference, its p-value among many, the seeds it needs."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.05
"""of intervals, and of a table's verdicts after Holm's correction"""
POWER = 0.8
"""the chance of seeing the observed difference that `seeds_needed` asks for"""
MOST_SEEDS = 100
"""beyond it, a number of seeds is no advice"""


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
    """of this one contrast, not corrected for the others"""
    seeds_needed: int | None = None
    """in all, to resolve the observed delta;
    MOST_SEEDS + 1 stands for more; None where there is nothing to resolve"""


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
