"""Hold the measurements of a row's own runs, which come from records only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from components.metrics import Metric
from mta_lab.report.cost import Cost, EqualFlops, Ratio
from mta_lab.results.failures import Attempt
from mta_lab.results.records import Failure, Record
from mta_lab.results.states import State
from mta_lab.stats.contrasts import LEVEL, Contrast

Verdict = Literal["better", "worse", "equal", "unresolved"]
Role = Literal["row", "baseline", "A/A"]
"""an A/A row repeats the baseline to detect false alarms: on a random stream of its own, or under
the same seeds by another implementation of its attention, which rounds otherwise"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The measurements of one row."""

    role: Role
    baseline: str
    """the row that deltas are against; for a baseline, its own name"""
    metric: Metric
    """the metric that its runs are scored by"""
    seeds: tuple[int, ...]
    """the planned seeds"""
    scores: Mapping[int, float]
    """score by seed; a seed without a score has not finished, or diverged"""
    records: Mapping[int, Record]
    """record of each score, by seed"""
    failures: Mapping[int, Failure]
    """failures by seed, of the runs that failed or diverged"""
    attempts: Mapping[int, Sequence[Attempt]]
    """failed attempts by seed, also of runs that finished in the end"""
    stale: frozenset[int]
    """seeds that have stale results only"""
    interval: tuple[float, float] | None
    """95 % interval of the mean, for shares only"""
    domains: Mapping[str, float]
    """mean over the finished seeds"""
    further: Mapping[str, float]
    """mean over the finished seeds by other metrics; only those that every run has"""
    contrast: Contrast | None
    """difference from the baseline; None for a baseline, and with too few runs"""
    p_holm: float | None
    """of a difference, after Holm's correction and for the looks; None before the first look"""
    p_equal: float | None
    """the same of a difference of `equal_within` or more"""
    called: float | None
    """the delta of the look that p_holm is of"""
    baseline_ready: bool
    """True if the row's baseline has all seeds of the first look"""
    looks: tuple[int, ...]
    """the numbers of seeds at which the table is looked at"""
    looks_used: int
    """of these, the looks of which the row and its baseline have all seeds"""
    cost: Cost
    ratios: Mapping[str, Ratio]
    """cost over the baseline's, by the names of `cost.COSTS`"""
    equal_flops: EqualFlops | None
    """the delta after equally many operations; not among the tested ones"""
    implementation: str
    """the implementations that computed attention, as recorded; empty without records"""

    @property
    def mean(self) -> float | None:
        """Return the mean score over the finished seeds, or None without any."""
        return fmean(self.scores.values()) if self.scores else None

    @property
    def complete(self) -> bool:
        """Return True if every planned seed has a score."""
        return all(seed in self.scores for seed in self.seeds)

    @property
    def testable(self) -> bool:
        """Return True if the row has a completed look: a verdict on a difference.

        There is no verdict while a seed of the first look is missing.
        """
        return self.contrast is not None and self.looks_used > 0

    @property
    def resolved(self) -> bool:
        """Return True if the row is better or worse: p < 5 % over all rows and looks."""
        return self.testable and self.p_holm is not None and self.p_holm < LEVEL

    @property
    def equal(self) -> bool:
        """Return True if the row differs by less than `equal_within`, by two one-sided tests."""
        return self.testable and self.p_equal is not None and self.p_equal < LEVEL

    @property
    def verdict(self) -> Verdict | None:
        """Return the verdict on the row's difference, or None without a completed look."""
        if not self.testable:
            return None
        if self.resolved and self.called:
            return "better" if (self.called > 0) == self.metric.higher_is_better else "worse"
        return "equal" if self.equal else "unresolved"

    @property
    def passed(self) -> bool | None:
        """Return True if an A/A row's difference has p >= 5 % without correction, as it should.

        None where it is not known yet, and for other rows.
        """
        if self.role != "A/A" or not self.testable or self.contrast is None:
            return None
        return self.contrast.p >= LEVEL

    def status(self, seed: int) -> State:
        """Return the state of the run of `seed`."""
        if seed in self.scores:
            return "finished"
        return "failed" if seed in self.failures else "stale" if seed in self.stale else "pending"
