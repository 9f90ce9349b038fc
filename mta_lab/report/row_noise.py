"""The noise of rows' means, on the scale on which effects add up."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, variance

import numpy as np

from components.metrics import Metric
from mta_lab.report.measured import Measured
from mta_lab.stats.contrasts import Array
from mta_lab.stats.paired import Noise


def added_up(score: float, metric: Metric) -> float:
    """Return a score on the scale on which effects add up: its logarithm, or a share itself."""
    return score if metric.is_share else math.log(score)


def noise_of_means(rows: Sequence[Measured], noise: Mapping[str, Noise]) -> tuple[Array, float] | None:
    """Return the variance of each row's mean by its runs' noise, and its degrees of freedom.

    `noise` is by baseline. A share's is the variance between seeds, pooled over the rows. None
    where it is not known.
    """
    if not rows:
        return None
    runs = np.array([len(row.scores) for row in rows])
    if rows[0].metric.is_share:
        if runs.min() < 2:
            return None
        return fmean(variance(row.scores.values()) for row in rows) / runs, float((runs - 1).sum())
    floors = {row.baseline: noise.get(row.baseline) for row in rows}
    known = {baseline: floor for baseline, floor in floors.items() if floor}
    if len(known) < len(floors) or not runs.all():
        return None
    variances = np.array([math.log1p(known[row.baseline].deviation) ** 2 for row in rows])
    return variances / runs, float(sum(floor.degrees for floor in known.values()))
