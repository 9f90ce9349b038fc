"""Error rates over a few seeds, which differ far more than their test sequences alone explain.

Under one row, seeds may print 78, 75 and 2 % (Multi-Token Attention's README). Each row is read as
a survey in which a seed is a cluster: the variance between seeds gives the effective number of
sequences (Korn and Graubard 1998, Survey Methodology 24), at most the true one, and Student's t
with the clusters' degrees of freedom stands for the normal. Wilson's interval on that number holds
at 0 % and 100 % (Franco et al. 2019, J. Survey Statistics and Methodology 7).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student
from statsmodels.stats.proportion import confint_proportions_2indep, power_proportions_2indep, proportion_confint

from mta_lab.stats.contrasts import LEVEL, Contrast, seeds_needed


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The error rates of a row over seeds."""

    rates: Sequence[float]
    sequences: int
    """that each of them is over"""

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return fmean(self.rates)

    @property
    def spread(self) -> float:
        """Variance of a single right-or-wrong answer."""
        return self.mean * (1 - self.mean)


def interval(row: Rates) -> tuple[float, float] | None:
    """Return the 95 % interval of a row's mean error rate; None for fewer than two seeds."""
    seeds = len(row.rates)
    if seeds < 2:
        return None
    effective = seeds * min(1 / _correlation([row]), row.sequences)
    low, high = proportion_confint(
        row.mean * effective, effective, _normal_level(student.isf(LEVEL / 2, seeds - 1)), method="wilson"
    )
    return min(max(float(low), 0.0), row.mean), max(min(float(high), 1.0), row.mean)


def compare_rates(row: Rates, baseline: Rates, level: float) -> Contrast | None:
    """Return the difference of two rows' error rates, by Newcombe's interval.

    None for fewer than two seeds of either.

    The correlation inside a seed is pooled over both rows, so that a row whose few seeds agree by
    luck is not taken for one without noise: alone, rows that either solve the task or do not raise
    a false alarm in up to 22 % of cases, pooled in 3 %. The degrees of freedom are Satterthwaite's.
    p is the level at which the interval touches zero. Rows are compared as if unpaired: seeds
    decide too little of an error rate to rely on it.
    """
    seeds = min(len(row.rates), len(baseline.rates))
    if seeds < 2:
        return None
    answers = min(1 / _correlation([row, baseline]), row.sequences, baseline.sequences)  # that a seed is worth
    degrees = _degrees(row, baseline)
    counts = [part.mean * len(part.rates) * answers for part in (row, baseline)]
    sizes = [len(part.rates) * answers for part in (row, baseline)]
    delta = _difference(row.mean, baseline.mean)

    def bounds(reach: float) -> tuple[float, float]:
        low, high = confint_proportions_2indep(
            counts[0], sizes[0], counts[1], sizes[1], method="newcomb", compare="diff", alpha=_normal_level(reach)
        )
        return min(float(low), delta), max(float(high), delta)

    low, high = bounds(float(student.isf(LEVEL / 2, degrees)))
    return Contrast(
        delta=delta,
        low=low,
        high=high,
        p=_p_value(delta, degrees, bounds),
        seeds_needed=_seeds_needed(delta, baseline.mean, answers, degrees / (seeds - 1), level),
    )


def _difference(mean: float, other: float) -> float:
    """`mean - other`; 0 where the two differ by no more than rounding."""
    return 0.0 if math.isclose(mean, other, rel_tol=1e-12, abs_tol=1e-15) else mean - other


def _correlation(rows: Sequence[Rates]) -> float:
    """Return how alike two answers under one seed are, 0 to 1, over all rows.

    It is never less than chance makes them.
    """
    spread = sum(row.spread for row in rows)
    between = sum(variance(row.rates) for row in rows)
    least = 1 / max(row.sequences for row in rows)
    return min(max(between / spread, least), 1.0) if spread else least


def _degrees(*rows: Rates) -> float:
    """Satterthwaite's degrees of freedom of the summed variances between seeds."""
    variances = [variance(row.rates) for row in rows]
    most = max(variances)
    if not most:
        return float(min(len(row.rates) for row in rows) - 1)
    parts = [v / most for v in variances]  # squares of tiny variances would vanish
    return sum(parts) ** 2 / sum(v**2 / (len(row.rates) - 1) for v, row in zip(parts, rows, strict=True))


def _normal_level(reach: float) -> float:
    """Return the level at which statsmodels' normal interval reaches `reach` standard errors.

    Scaling the effective number by (z / t)^2, as Korn and Graubard do, gives the same Wilson
    interval.
    """
    return float(2 * norm.sf(reach))


NEAREST, FARTHEST = 1e-9, 30.0  # standard errors: p is 1 and 0 to all purposes, and the normal's tail ends near 38


def _p_value(delta: float, degrees: float, bounds: Callable[[float], tuple[float, float]]) -> float:
    """Return the level at which the interval around `delta` touches zero."""

    def near_end(reach: float) -> float:
        low, high = bounds(reach)
        return low if delta > 0 else -high

    if delta == 0 or near_end(NEAREST) <= 0:
        return 1.0
    if near_end(FARTHEST) > 0:
        return float(2 * student.sf(FARTHEST, degrees))
    return float(2 * student.sf(brentq(near_end, NEAREST, FARTHEST), degrees))


def _seeds_needed(delta: float, baseline: float, answers: float, degrees: float, level: float) -> int | None:
    """Return the number of seeds with which the difference would be seen.

    A seed is worth `answers` answers and `degrees` of freedom.
    """
    if abs(delta) in (0, 1):  # nothing to see, or nothing that varies
        return None

    def power(seeds: int) -> float:
        shrink = norm.isf(level / 2) / student.isf(level / 2, degrees * (seeds - 1))
        size = seeds * answers * shrink**2
        return float(power_proportions_2indep(delta, baseline, size, alpha=level, return_results=False))

    return seeds_needed(power)
