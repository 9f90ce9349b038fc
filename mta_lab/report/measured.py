"""The measurements of a row's own runs, from records only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from components.metrics import Metric
from mta_lab.report.cost import Cost
from mta_lab.results.failures import Attempt
from mta_lab.results.records import Failure, Record
from mta_lab.results.states import State
from mta_lab.stats.contrasts import LEVEL, Contrast

Role = Literal["row", "baseline", "A/A"]
"""an A/A row is the baseline once more, on a random stream of its own: a check for false alarms"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The measurements of one row."""

    role: Role
    baseline: str
    """the row that the deltas are against; a baseline's own name"""
    metric: Metric
    """what its runs are scored by"""
    seeds: tuple[int, ...]
    """planned"""
    scores: Mapping[int, float]
    """by seed; a seed that is not there has not finished, or diverged"""
    records: Mapping[int, Record]
    """by seed, of the scores"""
    failures: Mapping[int, Failure]
    """by seed, of the runs that failed or diverged"""
    attempts: Mapping[int, Sequence[Attempt]]
    """by seed, those that failed: of the runs where there were any, whatever came of them in the end"""
    stale: frozenset[int]
    """seeds whose only results do not count any more"""
    interval: tuple[float, float] | None
    """95 % interval of the mean, of shares only"""
    domains: Mapping[str, float]
    """mean over the finished seeds"""
    further: Mapping[str, float]
    """mean over the finished seeds of the scores by other evaluations, by metric; only those that every run has"""
    contrast: Contrast | None
    """against the row's baseline; None for a baseline and where there are too few runs"""
    p_holm: float | None
    baseline_complete: bool
    """whether the row's baseline has all its seeds"""
    cost: Cost
    ratios: Mapping[str, float]
    """cost over the baseline's, by the names of `cost.COSTS`"""
    equal_time_delta: float | None
    """the delta had both trained for the same time; never tested"""
    implementation: str
    """what computed the attention, as the records say; empty without them"""

    @property
    def mean(self) -> float | None:
        """Mean score over the finished seeds."""
        return fmean(self.scores.values()) if self.scores else None

    @property
    def complete(self) -> bool:
        """Return whether every planned seed has a score."""
        return all(seed in self.scores for seed in self.seeds)

    @property
    def testable(self) -> bool:
        """Return whether there may be a verdict: never while a seed of the row or of its baseline is missing."""
        return self.contrast is not None and self.complete and self.baseline_complete

    @property
    def resolved(self) -> bool:
        """Return whether the difference stands out of the noise at the 5 % level, all the table's rows considered."""
        return self.testable and self.p_holm is not None and self.p_holm < LEVEL

    @property
    def seeds_needed(self) -> int | None:
        """Seeds in all to resolve what is unresolved; None for what is resolved, and for what should never be."""
        if self.contrast is None or self.resolved or self.role != "row":
            return None
        return self.contrast.seeds_needed

    @property
    def passed(self) -> bool | None:
        """Of an A/A row: whether its difference is unresolved even without Holm's correction; None if not known."""
        if self.role != "A/A" or not self.testable or self.contrast is None:
            return None
        return self.contrast.p >= LEVEL

    def status(self, seed: int) -> State:
        """Return what became of the run of `seed`."""
        if seed in self.scores:
            return "finished"
        return "failed" if seed in self.failures else "stale" if seed in self.stale else "pending"
