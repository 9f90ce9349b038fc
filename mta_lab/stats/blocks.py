"""Paired comparisons of perplexities in randomised blocks: log(perplexity) ~ row + seed."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import nctdtr, stdtr, stdtrit

from mta_lab.stats.contrasts import LEVEL, Array, Contrast, seeds_needed

LARGEST = 700.0  # exp of more is no number any more
ROUNDING = 1e-12  # logarithms that differ by less are equal
APART = 1e-9  # seeds that no row connects have an eigenvalue of 0, connected ones of 1 / seeds or more


def relative(difference: float) -> float:
    """Return a difference of logarithms as a relative change."""
    return math.expm1(min(difference, LARGEST))


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The residual of rows that share a baseline: the noise floor of their differences."""

    deviation: float
    """standard deviation of one run around row and seed effects, relative"""
    degrees: int
    """residual degrees of freedom: (rows - 1) (seeds - 1) where no run is missing"""


def compare_paired(scores: Array, level: float) -> tuple[list[Contrast], Noise] | None:
    """Return the contrast of each further row with the first one, and the noise of all rows.

    `scores` are perplexities, rows x seeds, NaN where a run is missing. None where too few runs
    exist to tell noise from effect. Least squares with a term for each row and each seed; the
    residual of all rows is pooled. `level` is what a single row has to reach, for the seeds that it
    needs.
    """
    there = ~np.isnan(scores)
    runs, seeds = there.sum(axis=1), int(there.any(axis=0).sum())
    degrees = int(runs.sum()) - len(scores) - (seeds - 1)
    if len(scores) < 2 or seeds < 2 or degrees < 1 or not runs.all():
        return None
    # The normal equations of the seeds, rows eliminated: one a seed, however many rows there are.
    weights = there / runs[:, None]
    equations = np.diag(there.sum(axis=0)) - there.T @ weights
    if np.linalg.matrix_rank(equations, tol=APART, hermitian=True) < seeds - 1:
        return None
    logs = np.log(np.where(there, scores, 1.0))  # 0 where a run is missing
    means = logs.sum(axis=1) / runs
    solve = np.linalg.pinv(equations, rcond=APART, hermitian=True)
    of_seeds = solve @ (logs.sum(axis=0) - means @ there)
    of_rows = means - weights @ of_seeds
    residual = np.where(there, logs - of_rows[:, None] - of_seeds, 0.0)
    deviation = math.sqrt((residual**2).sum() / degrees)
    effects = [_unrounded(effect) for effect in of_rows[1:] - of_rows[0]]
    if deviation < ROUNDING:
        return [_exact(effect) for effect in effects], Noise(deviation=0.0, degrees=degrees)
    others = weights[1:] - weights[0]
    errors = deviation * np.sqrt(1 / runs[1:] + 1 / runs[0] + ((others @ solve) * others).sum(axis=1))
    contrasts = [
        _contrast(effect, error, degrees, _seeds_needed(effect, deviation, len(scores), level))
        for effect, error in zip(effects, errors, strict=True)
    ]
    return contrasts, Noise(deviation=relative(deviation), degrees=degrees)


def compare_unpaired(scores: Array, baseline: Array) -> Contrast | None:
    """Compare a row on a random stream of its own with the baseline, by the two-sample t-test.

    `scores` and `baseline` are perplexities, one a finished run; their logarithms are tested. None
    for fewer than two runs of either.

    Such a row shares neither initial values nor batches with the baseline, so a seed's luck does
    not cancel: its contrast has the variance 2 (seed + residual) / S where a paired row's has 2
    residual / S. Held against the pooled residual it would be a false alarm by construction, and
    inside it, it would inflate the noise of all other rows; it does neither. Both samples come from
    the same configuration if it is an A/A row, hence one variance for both.
    """
    if len(scores) < 2 or len(baseline) < 2:
        return None
    both = np.log(scores), np.log(baseline)
    effect = float(both[0].mean() - both[1].mean())
    if max(map(np.ptp, both)) < ROUNDING:
        return _exact(_unrounded(effect))
    degrees = len(scores) + len(baseline) - 2
    variance = sum(((logs - logs.mean()) ** 2).sum() for logs in both) / degrees
    return _contrast(effect, math.sqrt(variance * (1 / len(scores) + 1 / len(baseline))), degrees)


def _unrounded(effect: float) -> float:
    """Return a difference of logarithms, 0 where it is no more than rounding."""
    return 0.0 if abs(effect) < ROUNDING else float(effect)


def _exact(effect: float) -> Contrast:
    """Return a difference without any noise to test it against."""
    delta = relative(effect)
    return Contrast(delta=delta, low=delta, high=delta, p=0.0 if effect else 1.0)


def _contrast(effect: float, error: float, degrees: int, needed: int | None = None) -> Contrast:
    """Return a difference of logarithms with its standard `error` as a contrast, by Student's t."""
    reach = -float(stdtrit(degrees, LEVEL / 2)) * error
    return Contrast(
        delta=relative(effect),
        low=relative(effect - reach),
        high=relative(effect + reach),
        p=2 * float(stdtr(degrees, -abs(effect) / error)),
        seeds_needed=needed,
    )


def _seeds_needed(effect: float, deviation: float, rows: int, level: float) -> int | None:
    """Return the seeds with which the paired t-test would see `effect`.

    Its residual is pooled over `rows`.
    """
    if not effect or not deviation:
        return None
    size = abs(effect) / (math.sqrt(2) * deviation)  # in deviations of a paired difference

    def power(seeds: int) -> float:
        degrees = (rows - 1) * (seeds - 1)
        reach = -stdtrit(degrees, level / 2)
        return 1 - float(nctdtr(degrees, size * math.sqrt(seeds), reach))  # a verdict of the wrong sign sees nothing

    return seeds_needed(power)
