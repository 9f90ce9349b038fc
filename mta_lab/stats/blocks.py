"""Paired comparisons of perplexities in randomised blocks: log(perplexity) ~ row + seed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_ind
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.power import ttest_power

from mta_lab.stats.contrasts import LEVEL, Contrast, seeds_needed

Scores = Mapping[str, Mapping[int, float]]
"""row -> seed -> perplexity"""


LARGEST = 700.0  # exp of more is no number any more
ROUNDING = 1e-12  # logarithms that differ by less are equal


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


def compare_paired(scores: Scores, baseline: str, level: float) -> tuple[dict[str, Contrast], Noise | None]:
    """Compare rows with `baseline` over seeds; nothing where too few runs tell noise from effect.

    Ordinary least squares with a term for each row and each seed; the residual of all rows is
    pooled. `level` is what a single row has to reach, for the seeds that it needs.
    """
    rows = [baseline, *(row for row in scores if row != baseline and scores[row])]
    runs = [(row, seed, value) for row in rows for seed, value in scores.get(row, {}).items()]
    seeds = sorted({seed for _, seed, _ in runs})
    if not scores.get(baseline) or len(rows) < 2 or len(seeds) < 2:
        return {}, None
    of_row = np.array([rows.index(row) for row, *_ in runs])
    of_seed = np.array([seeds.index(seed) for _, seed, _ in runs])
    terms = [np.ones((len(runs), 1)), np.eye(len(rows))[of_row, 1:], np.eye(len(seeds))[of_seed, 1:]]
    design = np.hstack(terms)
    if np.linalg.matrix_rank(design.T @ design) < design.shape[1] or len(runs) <= design.shape[1]:
        return {}, None
    fit = OLS(np.log([value for *_, value in runs]), design).fit()
    effects = [_unrounded(effect) for effect in fit.params[1 : len(rows)]]
    degrees = round(fit.df_resid)
    if fit.mse_resid < ROUNDING**2:
        return {row: _exact(effect) for row, effect in zip(rows[1:], effects, strict=True)}, Noise(
            deviation=0.0, degrees=degrees
        )
    deviation = math.sqrt(fit.mse_resid)
    ends, p_values = fit.conf_int(LEVEL)[1 : len(rows)], fit.pvalues[1 : len(rows)]
    contrasts = {
        row: Contrast(
            delta=relative(effect),
            low=relative(low),
            high=relative(high),
            p=float(p),
            seeds_needed=_seeds_needed(effect, deviation, len(rows), level),
        )
        for row, effect, (low, high), p in zip(rows[1:], effects, ends, p_values, strict=True)
    }
    return contrasts, Noise(deviation=relative(deviation), degrees=degrees)


def compare_unpaired(scores: Mapping[int, float], baseline: Mapping[int, float]) -> Contrast | None:
    """Compare a row on a random stream of its own with the baseline: the t-test of log(perplexity).

    It is the two-sample test.

    Such a row shares neither initial values nor batches with the baseline, so a seed's luck does
    not cancel: its contrast has the variance 2 (seed + residual) / S where a paired row's has 2
    residual / S. Held against the pooled residual it would be a false alarm by construction, and
    inside it, it would inflate the noise of all other rows; it does neither. Both samples come from
    the same configuration if it is an A/A row, hence one variance for both.
    """
    if len(scores) < 2 or len(baseline) < 2:
        return None
    ours, theirs = np.log(list(scores.values())), np.log(list(baseline.values()))
    effect = float(ours.mean() - theirs.mean())
    if max(np.ptp(ours), np.ptp(theirs)) < ROUNDING:
        return _exact(_unrounded(effect))
    test = ttest_ind(ours, theirs)
    low, high = test.confidence_interval(1 - LEVEL)
    return Contrast(delta=relative(effect), low=relative(low), high=relative(high), p=float(test.pvalue))


def _unrounded(effect: float) -> float:
    """Return a difference of logarithms, 0 where it is no more than rounding."""
    return 0.0 if abs(effect) < ROUNDING else float(effect)


def _exact(effect: float) -> Contrast:
    """Return a difference without any noise to test it against."""
    delta = relative(effect)
    return Contrast(delta=delta, low=delta, high=delta, p=0.0 if effect else 1.0)


def _seeds_needed(effect: float, deviation: float, rows: int, level: float) -> int | None:
    """Seeds with which the paired t-test, its residual pooled over `rows`, would see `effect`."""
    if not effect or not deviation:
        return None
    size = abs(effect) / (math.sqrt(2) * deviation)  # in deviations of a paired difference
    return seeds_needed(lambda seeds: float(ttest_power(size, seeds, level, df=(rows - 1) * (seeds - 1))))
