"""Compare our rows with the paper's: by sign and rank, never by value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mta_lab.report.measured import Measured
from mta_lab.report.published import Published
from mta_lab.stats.ranks import rank_correlation, tau_interval


class _Row(Protocol):
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
    undecided: int
    """number of further resolved rows, whose published delta is within the paper's own noise"""
    tau: float | None
    """Kendall's tau-b between our means and the published values"""
    tau_interval: tuple[float, float] | None
    tau_rows: int
    """number of rows that tau is computed over"""


def agreement_of(rows: Sequence[_Row]) -> Agreement:
    """Return the agreement of measured rows with their published values."""
    both = [row for row in rows if row.published.scored and row.measured.role != "A/A"]
    resolved = [row for row in both if row.measured.resolved and row.published.delta]
    signs = [
        row.measured.contrast.delta * (row.published.delta or 0.0) > 0
        for row in resolved
        if row.measured.contrast and not row.published.undecided
    ]
    pairs = _pairs(both, "value") or _pairs(both, "delta")  # where only differences are printed, rank those
    tau = rank_correlation(*np.array(pairs).reshape(-1, 2).T)
    return Agreement(
        published=len(both),
        finished=sum(row.measured.complete for row in both),
        resolved=len(signs),
        same_sign=sum(signs),
        undecided=sum(row.published.undecided for row in resolved),
        tau=tau,
        tau_interval=tau_interval(tau, len(pairs)),
        tau_rows=len(pairs),
    )


def _pairs(rows: Sequence[_Row], what: str) -> list[tuple[float, float]]:
    """Return (our mean, the published value named `what`) of each row that has both."""
    pairs = [(row.measured.mean, getattr(row.published, what)) for row in rows]
    return [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
