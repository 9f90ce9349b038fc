"""The noise of rows' means, on the scale on which effects add up."""

import math
from collections.abc import Mapping
from statistics import fmean, variance

import numpy as np

from components.metrics import Metric
from mta_lab.report.measured import Measured
from mta_lab.report.statistics import Comparison
from mta_lab.stats.contrasts import Array


def added_up(score: float, metric: Metric) -> float:
    """Return a score on the scale on which effects add up: its logarithm, or a share itself."""
    return score if metric.is_share else math.log(score)


def noise_of_means(rows: Mapping[str, Measured], comparison: Comparison) -> tuple[Array, float] | None:
    """Return the variance of each row's mean by its runs' noise, and its degrees of freedom.

    A share's is the variance between seeds, pooled over the rows. None where it is not known.
    """
    runs = np.array([len(row.scores) for row in rows.values()])
    if not rows or runs.min() < 2:
        return None
    if next(iter(rows.values())).metric.is_share:
        return fmean(variance(row.scores.values()) for row in rows.values()) / runs, float((runs - 1).sum())
    if rows.keys() - comparison.deviations.keys():
        return None
    variances = np.array([math.log1p(comparison.deviations[row]) ** 2 for row in rows])
    return variances / runs, float(sum(noise.degrees for noise in comparison.noise.values()))
