"""Compare times that were taken in turns: each round has one of either."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import bdtr

from mta_lab.stats.contrasts import LEVEL

FEWEST = 6
"""rounds below which no two of their ratios hold the median with 95 %"""


class Median(NamedTuple):
    """A median with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def reach(self) -> float:
        """Return half of the interval's width, as a share of the median."""
        return (self.high - self.low) / 2 / self.value


def median_ratio(times: Sequence[float], others: Sequence[float]) -> Median:
    """Return the median over rounds of a time over the other one of its round.

    What slows a whole round slows both of its times, and cancels. A round that was slowed between
    the two is one of many, which moves a median little. The interval is between two of the sorted
    ratios that hold the median of any distribution with that chance or more (the interval of the
    sign test): the number of ratios below the median is binomial.

    Raises:
        ValueError: there are fewer than FEWEST rounds, or not as many times of either.
    """
    rounds = len(times)
    if rounds < FEWEST or rounds != len(others):
        raise ValueError(f"rounds: got {rounds} and {len(others)}, allowed: {FEWEST} or more, as many of either")
    ratios = np.sort(np.asarray(times) / np.asarray(others))
    below = bdtr(np.arange(rounds), rounds, 0.5)  # chances that so many ratios or fewer lie below the median
    place = int(np.searchsorted(below, LEVEL / 2)) - 1
    return Median(float(np.median(ratios)), float(ratios[place]), float(ratios[rounds - 1 - place]))
