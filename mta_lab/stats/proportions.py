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
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from mta_lab.stats.contrasts import LEVEL, POWER, Contrast, Question


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


def interval(row: Rates, table: Sequence[Rates] = ()) -> tuple[float, float] | None:
    """Return the 95 % interval of a row's mean error rate; None for fewer than two seeds.

    `table` are all rows of the row's table. Where they tell of seeds farther apart than the row's
    own are, the row's interval is theirs: three seeds that either solve a task or do not are all
    alike in a quarter of cases or more, and their own interval then holds the truth in 48 to 75 %
    of cases; with the table's, in 92 % or more. Nothing mends that for a row alone.
    """
    seeds = len(row.rates)
    if seeds < 2:
        return None
    several = [other for other in table if len(other.rates) > 1]
    alone, together = _interval([row], row), _interval(several or [row], row)
    low, high = min(alone[0], together[0]), max(alone[1], together[1])
    return min(low, row.mean), max(high, row.mean)


def of_one_seed(rate: float, sequences: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of the rate of one seed, the model as it is."""
    return _wilson(rate, sequences, -float(ndtri(LEVEL / 2)))


def _interval(rows: Sequence[Rates], row: Rates) -> tuple[float, float]:
    """Return Wilson's interval of a row, its seeds as far apart as those of `rows`."""
    effective = len(row.rates) * min(1 / _correlation(rows), row.sequences)
    return _wilson(row.mean, effective, _reach(LEVEL, _degrees(*rows)))


def compare_rates(row: Rates, baseline: Rates, question: Question) -> Contrast | None:
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
    delta = _difference(row.mean, baseline.mean)

    def bounds(reach: float) -> tuple[float, float]:
        low, high = _newcombe([(part.mean, len(part.rates) * answers) for part in (row, baseline)], reach)
        return min(low, delta), max(high, delta)

    def power(effect: float, more: int) -> float:
        return _power(effect, baseline.mean, more * answers, degrees * (more - 1) / (seeds - 1), question.level)

    low, high = bounds(_reach(LEVEL, degrees))
    return Contrast(
        delta=delta,
        low=low,
        high=high,
        p=_p_value(delta, degrees, bounds),
        p_equal=_p_equal(degrees, bounds, question.within),
        seeds=seeds,
        find_limit=lambda: _limit(power, seeds),
        power_with=lambda more: power(question.effect, more),
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


def _reach(level: float, degrees: float) -> float:
    """Return the standard errors to either side of an interval at `level`, by Student's t."""
    return -float(stdtrit(degrees, level / 2))


def _wilson(rate: float, answers: float, reach: float) -> tuple[float, float]:
    """Return Wilson's interval of a rate over `answers`, `reach` standard errors to either side.

    Scaling the answers by (z / t)^2 and reaching z, as Korn and Graubard do, is the same.
    """
    inverse = reach**2 / answers
    centre = (rate + inverse / 2) / (1 + inverse)
    half = reach * math.sqrt((rate * (1 - rate) + inverse / 4) / answers) / (1 + inverse)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _newcombe(rates: Sequence[tuple[float, float]], reach: float) -> tuple[float, float]:
    """Return the interval of the difference of two (rate, answers).

    Newcombe 1998, Statistics in Medicine 17, method 10.
    """
    (ours, _), (theirs, _) = rates
    (low, high), (their_low, their_high) = (_wilson(*rate, reach) for rate in rates)
    delta = ours - theirs
    return delta - math.hypot(ours - low, their_high - theirs), delta + math.hypot(high - ours, theirs - their_low)


NEAREST, FARTHEST = 1e-9, 30.0  # standard errors: p is 1 and 0 to all purposes, and the normal's tail ends near 38


def _p_value(delta: float, degrees: float, bounds: Callable[[float], tuple[float, float]]) -> float:
    """Return the level at which the interval around `delta` touches zero."""
    if delta == 0:
        return 1.0
    return 2 * _tail(degrees, lambda reach: bounds(reach)[0] if delta > 0 else -bounds(reach)[1])


def _p_equal(degrees: float, bounds: Callable[[float], tuple[float, float]], within: float) -> float:
    """Return the larger level of two one-sided tests of a difference inside `within`."""
    upper, lower = (lambda reach: within - bounds(reach)[1]), (lambda reach: bounds(reach)[0] + within)
    return max(_tail(degrees, room) for room in (upper, lower))


def _tail(degrees: float, room: Callable[[float], float]) -> float:
    """Return the one-sided level at which an interval that grows with its reach leaves no room."""
    if room(NEAREST) <= 0:
        return 0.5
    reach = FARTHEST if room(FARTHEST) > 0 else brentq(room, NEAREST, FARTHEST)
    return float(stdtr(degrees, -reach))


def _power(effect: float, baseline: float, answers: float, degrees: float, level: float) -> float:
    """Return the chance of seeing a row whose rate is `effect` away from the baseline's.

    It is away to the side with more room; an effect that has none is seen as one that fills it.
    """
    other = min(baseline + effect, 1.0) if baseline < 0.5 else max(baseline - effect, 0.0)
    delta, pooled = other - baseline, (other + baseline) / 2
    under_null = math.sqrt(2 * pooled * (1 - pooled))
    under_delta = math.sqrt(other * (1 - other) + baseline * (1 - baseline))
    reach = -float(ndtri(level / 2))
    shift = abs(delta) * math.sqrt(answers) * reach / _reach(level, degrees)
    if under_delta == 0:  # from all right to all wrong
        return float(shift > reach * under_null)
    return float(ndtr((shift - reach * under_null) / under_delta))


def _limit(power: Callable[[float, int], float], seeds: int) -> float | None:
    """Return the smallest effect that so many seeds see with `POWER`; None if they see none."""
    if power(1.0, seeds) < POWER:
        return None
    return float(brentq(lambda effect: power(effect, seeds) - POWER, 0.0, 1.0))
