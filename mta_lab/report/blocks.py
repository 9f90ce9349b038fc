"""Paired comparisons of perplexities in randomised blocks: log(perplexity) ~ row + seed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import t, ttest_ind
from statsmodels.stats.power import ttest_power

from mta_lab.report.contrasts import LEVEL, Contrast, seeds_needed

Scores = Mapping[str, Mapping[int, float]]
"""row -> seed -> perplexity"""


LARGEST = 700.0  # exp of more is no number any more


def relative(difference: float) -> float:
    """A difference of logarithms as a relative change."""
    return math.expm1(min(difference, LARGEST))


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The residual of rows that share a baseline: the noise floor of their differences."""

    deviation: float
    """standard deviation of one run around row and seed effects, relative"""
    degrees: int
    """residual degrees of freedom: (rows - 1) (seeds - 1) where no cell is missing"""


def compare_paired(scores: Scores, baseline: str, level: float) -> tuple[dict[str, Contrast], Noise | None]:
    """Compare rows with `baseline` over seeds; nothing where too few cells exist to tell noise from effect.

    Ordinary least squares with a term for each row and each seed; the residual of all rows is pooled. `level` is what
    a single row has to reach, for the seeds that it needs.
    """
    rows = [baseline, *(row for row in scores if row != baseline and scores[row])]
    seeds = sorted({seed for row in rows for seed in scores.get(row, {})})
    if not scores.get(baseline) or len(rows) < 2 or len(seeds) < 2:
        return {}, None
    fit = _fit(np.log([[scores[row].get(seed, math.nan) for seed in seeds] for row in rows]))
    if fit is None:
        return {}, None
    deviation = math.sqrt(fit.mean_square)
    reach = float(t.ppf(1 - LEVEL / 2, fit.degrees)) * fit.errors
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = np.nan_to_num(2 * t.sf(np.abs(fit.effects) / fit.errors, fit.degrees), nan=1.0)  # 0 / 0: equal
    contrasts = {
        row: Contrast(
            delta=relative(effect),
            low=relative(low),
            high=relative(high),
            p=p,
            seeds_needed=_seeds_needed(effect, deviation, len(rows), level),
        )
        for row, effect, low, high, p in zip(
            rows[1:],
            *(values.tolist() for values in (fit.effects, fit.effects - reach, fit.effects + reach, p_values)),
            strict=True,
        )
    }
    return contrasts, Noise(deviation=relative(deviation), degrees=fit.degrees)


@dataclass(frozen=True)
class _Fit:
    """Least squares of y[row, seed] = row + seed + residual."""

    effects: np.ndarray
    """[rows - 1]: of each row but the first, less the first's"""
    errors: np.ndarray
    """[rows - 1]: their standard errors"""
    mean_square: float
    """of the residual"""
    degrees: int
    """of freedom that the residual has"""


def _fit(y_RS: np.ndarray) -> _Fit | None:
    """Fit a table with NaN where a cell is missing; None where its cells do not tell rows from seeds, or no residual.

    The rows are eliminated from the normal equations, which leaves as many unknowns as seeds, however many rows there
    are (Searle 1971, Linear Models, chapter 7).
    """
    there_RS = ~np.isnan(y_RS)
    y_RS, of_row = np.where(there_RS, y_RS, 0.0), there_RS.sum(axis=1)
    degrees = int(there_RS.sum()) - sum(y_RS.shape) + 1
    share_RS = there_RS / of_row[:, None]
    information_SS = (np.diag(there_RS.sum(axis=0)) - there_RS.T @ share_RS)[1:, 1:]  # the first seed's effect is 0
    if degrees < 1 or np.linalg.matrix_rank(information_SS, hermitian=True) < len(information_SS):
        return None
    mean_R = y_RS.sum(axis=1) / of_row
    right_S = (y_RS - there_RS * mean_R[:, None]).sum(axis=0)
    seed_S = np.append(0.0, np.linalg.solve(information_SS, right_S[1:]))
    row_R = ((y_RS - seed_S) * there_RS).sum(axis=1) / of_row
    mean_square = float((((y_RS - seed_S - row_R[:, None]) * there_RS) ** 2).sum()) / degrees
    apart_RS = (share_RS - share_RS[0])[1:, 1:]  # what a row and the first lean on other seeds
    lean_R = (apart_RS * np.linalg.solve(information_SS, apart_RS.T).T).sum(axis=1)
    errors = np.sqrt(mean_square * (1 / of_row[1:] + 1 / of_row[0] + lean_R))
    return _Fit(row_R[1:] - row_R[0], errors, mean_square, degrees)


def compare_unpaired(scores: Mapping[int, float], baseline: Mapping[int, float]) -> Contrast | None:
    """Compare a row on a random stream of its own with the baseline: the two-sample t-test of log(perplexity).

    Such a row shares neither initial values nor batches with the baseline, so a seed's luck does not cancel: its
    contrast has the variance 2 (seed + residual) / S where a paired row's has 2 residual / S. Held against the pooled
    residual it would be a false alarm by construction, and inside it, it would inflate the noise of all other rows;
    it does neither. Both samples come from the same configuration if it is an A/A row, hence one variance for both.
    """
    if len(scores) < 2 or len(baseline) < 2:
        return None
    ours, theirs = np.log(list(scores.values())), np.log(list(baseline.values()))
    effect = float(ours.mean() - theirs.mean())
    if not (np.ptp(ours) or np.ptp(theirs)):  # no noise to test against
        delta = relative(effect)
        return Contrast(delta=delta, low=delta, high=delta, p=1.0 if delta == 0 else 0.0)
    test = ttest_ind(ours, theirs)
    low, high = test.confidence_interval(1 - LEVEL)
    return Contrast(delta=relative(effect), low=relative(low), high=relative(high), p=float(test.pvalue))


def _seeds_needed(effect: float, deviation: float, rows: int, level: float) -> int | None:
    """Seeds with which the paired t-test, its residual pooled over `rows`, would see `effect`."""
    if not effect or not deviation:
        return None
    size = abs(effect) / (math.sqrt(2) * deviation)  # in deviations of a paired difference
    return seeds_needed(lambda seeds: float(ttest_power(size, seeds, level, df=(rows - 1) * (seeds - 1))))
