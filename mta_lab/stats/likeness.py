"""The likeness of two noisy columns over the same rows, as it would be without their noise.

Adding noise to observed scores anew, as a parametric bootstrap does, blurs the ranking twice: over
20 rows with as much noise as differences, its 95 % interval of tau holds the true one in 0 of 300
simulations. So the scores without noise are drawn instead, given the observed ones, in the normal
model with errors in both columns (Fuller 1987, Measurement Error Models, chapter 4).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

from mta_lab.stats.contrasts import LEVEL, Array

DRAWS = 2000
FEWEST = 4  # rows that an interval needs
CORRELATIONS = np.linspace(-0.995, 0.995, 81)
LEAST = 0.05  # of the observed variance that is taken for true at least


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """A coefficient of two columns, from -1 to 1."""

    value: float
    """of the scores as they are: noise brings it nearer to 0"""
    interval: tuple[float, float] | None
    """95 % interval of what it would be without noise; None where it is unknown, or rows are few"""
    chance: float
    """share of random orders of the rows in which it is as high or higher"""


def tau(ours: Array, theirs: Array) -> Array:
    """Return Kendall's tau-b of the last axes; NaN where one side does not vary."""
    signs = [np.sign(values[..., :, None] - values[..., None, :]) for values in (ours, theirs)]
    untied = [np.count_nonzero(sign, axis=(-2, -1)) for sign in signs]
    return _divided((signs[0] * signs[1]).sum(axis=(-2, -1)), np.sqrt(np.multiply(*untied)))


def correlation(ours: Array, theirs: Array) -> Array:
    """Return Pearson's correlation of the last axes; NaN where one side does not vary."""
    first, second = (values - values.mean(axis=-1, keepdims=True) for values in (ours, theirs))
    return _divided((first * second).sum(axis=-1), np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1)))


def _divided(above: Array, below: Array) -> Array:
    found: Array = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0)
    return found


def likeness(
    of: Callable[[Array, Array], Array], ours: Array, theirs: Array, noise: tuple[Array, Array] | None
) -> Likeness | None:
    """Return a coefficient `of` two columns; None where one does not vary, or of two rows.

    `noise` has the variances of their values, unknown if None.
    """
    if len(ours) < 3 or not np.ptp(ours) or not np.ptp(theirs):
        return None
    generator = np.random.default_rng(0)  # the same table prints the same
    value = float(of(ours, theirs))
    orders = generator.permuted(np.tile(theirs, (DRAWS, 1)), axis=1)
    interval = None
    if noise is not None and len(ours) >= FEWEST:
        drawn = of(*_without_noise(ours, theirs, noise, generator))
        low, high = np.quantile(drawn[np.isfinite(drawn)], [LEVEL / 2, 1 - LEVEL / 2])
        interval = float(low), float(high)
    return Likeness(value=value, interval=interval, chance=float((of(ours, orders) >= value - 1e-12).mean()))


def _without_noise(
    ours: Array, theirs: Array, noise: tuple[Array, Array], generator: np.random.Generator
) -> tuple[Array, Array]:
    """Draw both columns as they would be without noise, given their values: draws x rows each.

    The true columns are bivariate normal: their variances are the observed ones less the noise,
    their correlation is uniform before the scores are seen.
    """
    first, second = ours - ours.mean(), theirs - theirs.mean()
    true = [max(values.var(ddof=1) - errors.mean(), LEAST * values.var(ddof=1))
            for values, errors in zip((ours, theirs), noise, strict=True)]  # fmt: skip
    total, other = (own + errors for own, errors in zip(true, noise, strict=True))
    shared = CORRELATIONS[:, None] * np.sqrt(true[0] * true[1])
    spread = total * other - shared**2
    quadratic = (other * first**2 - 2 * shared * first * second + total * second**2) / spread
    fits = -0.5 * (1 - 1 / len(ours)) * (np.log(spread) + quadratic).sum(axis=1)
    weights = np.cumsum(np.exp(fits - fits.max()))
    shared = np.interp(generator.uniform(size=(DRAWS, 1)), weights / weights[-1], shared[:, 0])
    spread = total * other - shared**2
    to_first = (true[0] * other - shared**2) / spread, shared * noise[0] / spread
    to_second = shared * noise[1] / spread, (true[1] * total - shared**2) / spread
    left = true[0] - to_first[0] * true[0] - to_first[1] * shared
    between = shared - to_first[0] * shared - to_first[1] * true[1]
    other_left = true[1] - to_second[0] * shared - to_second[1] * true[1]
    one, two = generator.normal(size=(2, DRAWS, len(ours)))
    root = np.sqrt(np.maximum(left, 1e-300))
    rest = np.sqrt(np.maximum(other_left - (between / root) ** 2, 0.0))
    return (
        to_first[0] * first + to_first[1] * second + root * one,
        to_second[0] * first + to_second[1] * second + between / root * one + rest * two,
    )


def chance_of_signs(ours: int, theirs: int, count: int, same: int) -> float:
    """Return the chance that at least `same` of `count` signs agree if they go together at random.

    `ours` and `theirs` are the numbers of rows with one of the signs on either side (hypergeometric
    distribution, Fisher's exact test to one side): where all of theirs are alike, it is 1.
    """
    ways = 0
    for both in range(max(0, ours + theirs - count), min(ours, theirs) + 1):
        if count - ours - theirs + 2 * both >= same:
            ways += comb(ours, both) * comb(count - ours, theirs - both)
    return ways / comb(count, theirs)
