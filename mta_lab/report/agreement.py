"""Compare our rows with the paper's: by sign, correlation and rank, never by value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mta_lab.report.measured import Measured
from mta_lab.report.published import Published
from mta_lab.report.row_noise import added_up, noise_of_means
from mta_lab.report.statistics import Comparison
from mta_lab.stats.contrasts import Array
from mta_lab.stats.likeness import Likeness, chance_of_signs, correlation, likeness, tau


class _Row(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def measured(self) -> Measured: ...
    @property
    def published(self) -> Published: ...


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """A table's agreement with the paper.

    Rows that the paper lacks and A/A rows do not count.
    """

    published: int
    """number of rows with a published score or delta"""
    finished: int
    """of these, how many have every seed finished"""
    resolved: int
    """number of resolved rows whose published delta is neither zero nor undecided"""
    same_sign: int
    """of these, how many differ from their baseline in the published direction"""
    published_better: int
    """of these, how many are better than their baseline in the paper: as many signs agree with a
    guess that every row is better"""
    chance: float | None
    """chance that as many signs agree, or more, where as many of ours and of the paper's are minus
    signs and go together at random; None without a resolved row"""
    undecided: int
    """number of further resolved rows, whose published delta is within the paper's own noise"""
    correlation: Likeness | None
    """Pearson's, between our means and the published values (logarithms, unless they are shares)"""
    tau: Likeness | None
    """Kendall's tau-b between our means and the published values"""
    rows: int
    """number of rows that both are computed over"""


def agreement_of(rows: Sequence[_Row], comparison: Comparison) -> Agreement:
    """Return the agreement of measured rows with their published values.

    `comparison` has the noise of our runs.
    """
    both = [row for row in rows if row.published.scored and row.measured.role != "A/A"]
    resolved = [row for row in both if row.measured.resolved and row.published.delta]
    decided = [row for row in resolved if not row.published.undecided]
    better = [tuple(map(row.measured.metric.is_better, _deltas(row))) for row in decided]
    same = sum(ours == theirs for ours, theirs in better)
    ours, theirs = (sum(pair[side] for pair in better) for side in (0, 1))
    columns = _columns(both, comparison)
    return Agreement(
        published=len(both),
        finished=sum(row.measured.complete for row in both),
        resolved=len(decided),
        same_sign=same,
        published_better=theirs,
        chance=chance_of_signs(ours, theirs, len(better), same) if better else None,
        undecided=len(resolved) - len(decided),
        correlation=likeness(correlation, *columns),
        tau=likeness(tau, *columns),
        rows=len(columns[0]),
    )


def _deltas(row: _Row) -> tuple[float, float]:
    """Return the delta that a resolved row's verdict is of, and the published one."""
    return row.measured.called or 0.0, row.published.delta or 0.0


def _columns(rows: Sequence[_Row], comparison: Comparison) -> tuple[Array, Array, tuple[Array, Array] | None]:
    """Return our means, the published values, and the variances of both by noise, where known.

    Where the paper prints only differences, these stand for values.
    """
    measured = [row for row in rows if row.measured.scores]
    printed = [row for row in measured if row.published.value is not None]
    used = printed or [row for row in measured if row.published.delta is not None]
    ours = [added_up(row.measured.mean or 0.0, row.measured.metric) for row in used]
    theirs = [_published(row) for row in used]
    found = noise_of_means({row.name: row.measured for row in used}, comparison)
    errors = (found[0], np.array([error**2 for _, error in theirs])) if found else None
    return np.array(ours), np.array([value for value, _ in theirs]), errors


def _published(row: _Row) -> tuple[float, float]:
    """Return a published value, or a difference, as effects add up, with its standard deviation."""
    value, metric = row.published.value, row.measured.metric
    if value is None:
        return row.published.delta or 0.0, row.published.noise
    return added_up(value, metric), row.published.noise / (1.0 if metric.is_share else value)
