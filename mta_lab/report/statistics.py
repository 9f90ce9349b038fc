"""Paired comparisons in randomised blocks: log(perplexity) ~ row + seed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A row against the baseline, as relative changes of perplexity (-0.02 is 2 % lower)."""

    delta: float
    low: float
    high: float
    """95 % interval of this one contrast"""
    p: float
    """Holm-adjusted over the table's rows"""

    @property
    def resolved(self) -> bool:
        """Whether the difference stands out of the noise at the 5 % level, all rows considered."""
        return self.p < LEVEL


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All rows against the baseline, with the noise they share."""

    contrasts: Mapping[str, Contrast]
    noise: float
    """standard deviation of one run around row and seed effects, relative"""
    degrees: int
    """residual degrees of freedom: (rows - 1) (seeds - 1) where no cell is missing"""


def compare(scores: Mapping[str, Mapping[int, float]], baseline: str) -> Comparison | None:
    """Compare rows over seeds: `scores[row][seed]`. None where too few cells exist to tell noise from effect.

    Ordinary least squares with a term for each row and each seed; the residual of all rows is pooled.
    """
    rows = [baseline, *(row for row in scores if row != baseline and scores[row])]
    cells = [(row, seed, value) for row in rows for seed, value in scores.get(row, {}).items()]
    seeds = sorted({seed for _, seed, _ in cells})
    if not scores.get(baseline) or len(rows) < 2 or len(seeds) < 2:
        return None
    design = np.array(
        [
            [1.0, *(row == other for other in rows[1:]), *(seed == other for other in seeds[1:])]
            for row, seed, _ in cells
        ]
    )
    if np.linalg.matrix_rank(design) < design.shape[1] or len(cells) <= design.shape[1]:
        return None
    fit = OLS(np.log([value for *_, value in cells]), design).fit()
    effects = slice(1, len(rows))
    adjusted = multipletests(np.nan_to_num(fit.pvalues[effects], nan=1.0), method="holm")[1]
    contrasts = {
        row: Contrast(delta=math.expm1(effect), low=math.expm1(low), high=math.expm1(high), p=float(p))
        for row, effect, (low, high), p in zip(
            rows[1:], fit.params[effects], fit.conf_int(LEVEL)[effects], adjusted, strict=True
        )
    }
    return Comparison(contrasts=contrasts, noise=math.expm1(math.sqrt(fit.mse_resid)), degrees=round(fit.df_resid))
