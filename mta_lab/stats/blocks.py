"""Rows under shared seeds as randomised blocks: log(score) ~ row + seed, each row with its noise.

Least squares with a term for each row and each seed. A row's variance is the sum of its squared
residuals over their expectation (Horn, Horn and Duncan 1975, "Estimating heteroscedastic variances
in linear models", JASA 70). The rows' variances are moderated; the baseline, which is in every
difference, keeps its own. A difference has the degrees of freedom of Satterthwaite (Bell and
McCaffrey 2002, "Bias reduction in standard errors for linear regression with multi-stage samples",
Survey Methodology 28): with two rows, this is the paired t-test.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from mta_lab.stats.contrasts import Array
from mta_lab.stats.variances import LEAST, moderated

APART = 1e-9  # seeds that no row connects have an eigenvalue of 0, connected ones of 1 / seeds or more
ROUNDING = 1e-12  # logarithms that differ by less are equal


@dataclass(frozen=True)
class Fit:
    """Differences of rows from the first one, of one table or of many (...)."""

    effects: Array
    """(..., rows - 1), differences of logarithms"""
    errors: Array
    """(..., rows - 1), their standard errors; NaN where the runs do not tell"""
    degrees: Array
    """(..., rows - 1), the degrees of freedom of these"""
    variances: Array
    """(..., rows), of one run around the effects of row and seed; moderated but for the first"""
    prior: Array
    """(...), the degrees of freedom that the other rows lend each row's variance"""

    @property
    def p_values(self) -> Array:
        """Return the two-sided p-values of the effects, (..., rows - 1), not corrected."""
        return 2 * np.asarray(stdtr(self.degrees, -np.abs(self.effects) / self.errors))


class Blocks:
    """The design of a table: which of its runs, rows x seeds, are there."""

    def __init__(self, there: NDArray[np.bool_]) -> None:
        self.there = there
        self.runs = there.sum(axis=1)
        self.shares = there / self.runs[:, None]
        # Seeds with rows eliminated: one equation a seed, however many rows there are.
        of_rows = there[:, :, None] * np.eye(there.shape[1]) - self.shares[:, :, None] * there[:, None, :]
        equations = of_rows.sum(axis=0)
        self.connected = bool(np.linalg.matrix_rank(equations, tol=APART, hermitian=True) == there.shape[1] - 1)
        self.solve = np.linalg.pinv(equations, rcond=APART, hermitian=True)
        leverage = self.solve @ of_rows
        traces = np.trace(leverage, axis1=1, axis2=2)
        self.degrees = self.runs - 1 - traces
        """by row: the expectation of its squared residuals, in variances"""
        # The squared residuals of two rows covary as the product of `own` and `turned`, those of a
        # row with itself by `single` more, in twice the squared variance. Kept in factors: the
        # products of thousands of rows would take seconds.
        self.own = leverage.reshape(len(there), -1)
        self.turned = leverage.transpose(0, 2, 1).reshape(len(there), -1)
        self.single = self.runs - 1 - 2 * traces
        reach = (self.shares[1:] - self.shares[0]) @ self.solve
        own = np.zeros((len(there) - 1, len(there)))
        own[:, 0] = 1 / self.runs[0]
        own[np.arange(len(own)), np.arange(1, len(there))] = 1 / self.runs[1:]
        self.weights = own + np.einsum("rs,kst,rt->rk", reach, of_rows, reach, optimize=True)
        """(rows - 1) x rows: the variance of each difference, in variances of the rows"""

    @classmethod
    def of(cls, there: NDArray[np.bool_]) -> "Blocks":
        """Return the design of these runs, once made: a table's scores and costs share one."""
        return _made(there.shape, there.tobytes())

    @property
    def total_degrees(self) -> int:
        """Residual degrees of freedom of the whole table."""
        rows, seeds = self.there.shape
        return int(self.there.sum()) - int(rows) - int(seeds - 1)

    def residuals(self, logs: Array) -> tuple[Array, Array]:
        """Return the rows' effects (..., rows) and the residuals of `logs` (..., rows, seeds)."""
        logs = np.where(self.there, logs, 0.0)
        means = logs.sum(axis=-1) / self.runs
        of_seeds = (logs.sum(axis=-2) - means @ self.there) @ self.solve
        of_rows = means - of_seeds @ self.shares.T
        return of_rows, np.where(self.there, logs - of_rows[..., None] - of_seeds[..., None, :], 0.0)

    def fit(self, logs: Array) -> Fit:
        """Return the differences of rows from the first; `logs` are (..., rows, seeds)."""
        of_rows, residuals = self.residuals(logs)
        known = np.maximum(self.degrees, LEAST)
        variances = np.maximum((residuals**2).sum(axis=-1) / known, ROUNDING**2)
        shrunk, prior = moderated(variances[..., 1:], self.degrees[1:])
        variances = np.concatenate([variances[..., :1], shrunk], axis=-1)
        certain = np.ones_like(variances)  # how much of a variance's own uncertainty shrinking leaves
        certain[..., 1:] = known[1:] / (known[1:] + prior[..., None])
        errors = variances @ self.weights.T
        parts = variances[..., None, :] * self.weights * np.sqrt(certain)[..., None, :] / known
        spread = ((parts @ self.own) * (parts @ self.turned)).sum(axis=-1) + parts**2 @ self.single
        degrees = errors**2 / spread
        told = (self.degrees[1:] > LEAST) & (self.degrees[0] > LEAST)
        effects = of_rows[..., 1:] - of_rows[..., :1]
        return Fit(effects, np.where(told, np.sqrt(errors), np.nan), degrees, variances, prior)


@lru_cache(maxsize=8)
def _made(shape: tuple[int, ...], there: bytes) -> Blocks:
    return Blocks(np.frombuffer(there, dtype=np.bool_).reshape(shape))
