"""Power of a t-test: for an effect, the least effect that it sees, the seeds for one."""

import math
from collections.abc import Callable
from functools import lru_cache

from scipy.optimize import brentq
from scipy.special import nctdtr, stdtrit

from mta_lab.stats.contrasts import POWER

FARTHEST = 1e6  # standard errors; no table's level needs as many


def power_of(size: float, degrees: float, level: float) -> float:
    """Return the chance that a t-test sees an effect of `size` standard errors, two-sided.

    A verdict of the wrong sign sees nothing.
    """
    unseen = float(nctdtr(degrees, abs(size), _reach(degrees, level)))
    return 1.0 if math.isnan(unseen) else 1 - unseen  # not a number where the effect is far beyond the test's reach


def seen_size(degrees: float, level: float) -> float:
    """Return the smallest effect, in standard errors, that such a test sees with `POWER`.

    To four digits of the degrees of freedom, an estimate that most rows of a table share.
    """
    return _seen_size(float(f"{degrees:.4g}"), level)


@lru_cache(maxsize=1024)
def _seen_size(degrees: float, level: float) -> float:
    reach, most = _reach(degrees, level), 1.0
    while most < FARTHEST and power_of(most, degrees, level) < POWER:
        most *= 2
    if reach == 0 or most >= FARTHEST:
        return most
    return float(brentq(lambda size: power_of(size, degrees, level) - POWER, 0.0, most))


def with_seeds(size: float, degrees: float, seeds: int, level: float) -> Callable[[int], float]:
    """Return the power by number of seeds.

    An effect has `size` standard errors and `degrees` of freedom under `seeds` seeds: both grow
    with the seeds.
    """

    def power(more: int) -> float:
        return power_of(size * (more / seeds) ** 0.5, degrees * ((more - 1) / (seeds - 1)), level)

    return power


def _reach(degrees: float, level: float) -> float:
    return -float(stdtrit(degrees, level / 2))
