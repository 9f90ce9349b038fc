"""An evaluation of a finished run that asked questions of its own, as the run's record keeps it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

from components.metrics import metric_named


@dataclass(frozen=True, kw_only=True)
class GroupScores:
    """Scores by one metric, by group of questions."""

    scores: Mapping[str, float]
    low: Mapping[str, float]
    """lower end of the 95 % interval over the questions, the model as it is"""
    high: Mapping[str, float]
    """its upper end"""
    n: Mapping[str, int]
    """questions behind each score"""
    error: Mapping[str, float] = field(default_factory=dict)
    """standard error, where a harness gives it"""

    @property
    def mean(self) -> float:
        """Return the plain mean over the groups."""
        return fmean(self.scores.values())


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """Examples and version of the task of a harness, whose questions are a group."""

    shots: int
    """examples before each question"""
    version: str
    """the task's own"""

    def __str__(self) -> str:
        return f"{self.shots}-shot, version {self.version}"


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The results of a run by an evaluation that asks questions."""

    name: str
    """the evaluation's"""
    settings: Mapping[str, Any]
    metrics: Mapping[str, GroupScores]
    """by metric; rows are compared by the first"""
    floors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """share of questions that a guess without knowledge answers: by guess, then by group"""
    notes: Sequence[str] = ()
    """clauses on what was left out"""
    harness: str = ""
    """name and version of the harness that asked; empty where none did, as what follows"""
    tasks: Mapping[str, TaskFacts] = field(default_factory=dict)
    """how each group was asked"""
    finished: str
    """date and time, as `now` writes them"""

    def faults(self) -> Iterator[str]:
        """Yield in words why no evaluation can have come to this; nothing where one can."""
        if not self.metrics:
            yield "metrics: got {}, allowed: the scores by one at least"
        for name, found in self.metrics.items():
            metric = metric_named(name)
            if not found.scores:
                yield f"metrics.{name}.scores: got {{}}, allowed: the score of one group at least"
            for group, score in found.scores.items():
                if metric and not metric.least <= score <= metric.most:
                    yield f"metrics.{name}.{group}: got {score}, allowed: {metric.least:g} to {metric.most:g}"
            if not found.scores.keys() == found.low.keys() == found.high.keys() == found.n.keys():
                yield f"metrics.{name}: allowed: a score, an interval and a number of questions for each group"


def now() -> str:
    """Return date and time, as in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
