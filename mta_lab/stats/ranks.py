"""Two rankings of the same things beside each other."""

import math

import numpy as np
from scipy.special import ndtri

from mta_lab.stats.contrasts import LEVEL, Array


def rank_correlation(ours: Array, theirs: Array) -> float | None:
    """Return Kendall's tau-b of paired values; None where one side does not vary."""
    signs = [np.sign(np.subtract.outer(values, values)) for values in (ours, theirs)]
    untied = math.sqrt(np.count_nonzero(signs[0]) * np.count_nonzero(signs[1]))
    return float((signs[0] * signs[1]).sum()) / untied if untied else None


def tau_interval(tau: float | None, count: int) -> tuple[float, float] | None:
    """Return the 95 % interval of Kendall's tau over `count` things.

    Fisher's z with variance 0.437 / (n - 4), from Fieller, Hartley and Pearson, "Tests for rank
    correlation coefficients I", Biometrika 44 (1957). They find it good for |tau| < 0.8. None for 4
    things or fewer, and at -1 and 1, where z is infinite.
    """
    if tau is None or count <= 4 or abs(tau) >= 1:
        return None
    reach = -float(ndtri(LEVEL / 2)) * math.sqrt(0.437 / (count - 4))
    return math.tanh(math.atanh(tau) - reach), math.tanh(math.atanh(tau) + reach)
