"""Main effects of factors over the rows of a partial factorial, and their lack of fit."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc, stdtr, stdtrit

from mta_lab.stats.contrasts import LEVEL, Array

RANK = 1e-9  # singular values below it, of columns of 0 and 1, are rounding
ROUNDING = 1e-12  # sums of squares of logarithms that differ by less are equal


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A main effect: the difference that a level makes, averaged over the rows' other settings."""

    value: float
    low: float
    high: float
    """95 % interval, which covers the runs' noise and what the factors leave unexplained"""
    p: float
    """of this one effect, not corrected for the others"""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The effects of a design's columns on the rows' values."""

    effects: tuple[Effect | None, ...]
    """by column; None for a column that others add up to, so that its effect cannot be told"""
    degrees: int
    """rows less effects: the degrees of freedom of the intervals"""
    explained: float
    """share of the variance between rows that the effects explain (R squared)"""
    lack_of_fit: float | None
    """p of the rows' distances from the fit, against the runs' noise; None where that is unknown"""


def fit(design: Array, values: Array, variances: Array | None = None, degrees: float = math.inf) -> Fit | None:
    """Fit the rows' values by a mean and the columns of `design`; None without degrees of freedom.

    `design` is rows x columns, `values` one a row. `variances` are those of the values by the runs'
    noise alone, estimated with so many `degrees` of freedom; None where they are unknown.

    The effects are those of least squares with equal weights, so that a row's noise, which few
    seeds tell badly, decides no effect. Their standard errors add up two variances of a row: that
    of its noise, and that of its distance from the fit beyond noise (the moment estimator of Hedges
    1983, Psychological Bulletin 93, never less than 0). Hence a lack of fit widens the intervals,
    and rows may differ in noise.
    """
    rows = len(values)
    whole = np.column_stack([np.ones(rows), design])
    rank = int(np.linalg.matrix_rank(whole, tol=RANK * rows))
    left = rows - rank
    if left < 1 or rank < 2:
        return None
    solve = np.linalg.pinv(whole, rcond=RANK)
    found = solve @ values
    residual = float(((values - whole @ found) ** 2).sum())
    total = float(((values - values.mean()) ** 2).sum())
    noise = np.zeros(rows) if variances is None else variances
    expected = float(((1 - (whole * solve.T).sum(axis=1)) * noise).sum())  # of the residual, by noise alone
    beyond = max(residual - expected, 0.0) / left
    errors = np.sqrt((solve**2 * (noise + beyond)).sum(axis=1))
    told = np.isclose((solve @ whole).diagonal(), 1.0)
    return Fit(
        effects=tuple(
            _effect(float(value), float(error), left) if known else None
            for value, error, known in zip(found[1:], errors[1:], told[1:], strict=True)
        ),
        degrees=left,
        explained=1 - residual / total if total > ROUNDING else 0.0,
        lack_of_fit=float(fdtrc(left, min(degrees, 1e9), residual / expected)) if expected > ROUNDING**2 else None,
    )


def _effect(value: float, error: float, degrees: int) -> Effect:
    reach = -float(stdtrit(degrees, LEVEL / 2)) * error
    p = 2 * float(stdtr(degrees, -abs(value) / error)) if error else float(not value)
    return Effect(value=value, low=value - reach, high=value + reach, p=p)
