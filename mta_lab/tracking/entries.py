"""The content of an MLflow experiment: what it should show of each run, and what it lacks."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from components.metrics import PERPLEXITY, Metric
from mta_lab.results.records import Failure, Record, Records


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A run as MLflow shows it; how it ended is read from the records when it is entered."""

    fingerprint: str
    name: str
    config: Any
    """a RunConfig; None where only a finished run's record knows it"""
    tags: Mapping[str, str]


def runs_of(entries: Iterable[TrackedRun]) -> dict[tuple[str, str], str]:
    """Return the fingerprint of each row and seed."""
    return {(entry.tags["row"], entry.tags["seed"]): entry.fingerprint for entry in entries}


class Launch(NamedTuple):
    """A launch, whose MLflow run is the parent of those of its runs, and the experiment that it opens."""

    name: str
    tags: Mapping[str, str]
    """of its MLflow run; those below it have `launch` and `settings` of these, too"""
    metric: Metric = PERPLEXITY
    """what scores the runs"""
    params: Collection[str] = ()
    """what sets its runs apart: columns of the experiment's view"""
    formerly: str = ""
    """what earlier versions called the experiment, where one can be meant"""


class LaunchSummary(NamedTuple):
    """The content that a launch's own MLflow run shows at its end."""

    note: str = ""
    """the table"""
    summary: Mapping[str, Mapping[str, float]] = {}
    """its numbers, which become metrics: row -> what -> number"""
    files: Callable[[], Mapping[str, str]] = dict
    """makes the artifacts (path -> text); figures take seconds to draw"""


@dataclass
class Contents:
    """The MLflow runs that an experiment holds."""

    finished: set[str] = field(default_factory=set)
    """fingerprints"""
    failed: dict[str, set[str]] = field(default_factory=dict)
    """reasons by fingerprint; an empty one where an earlier version wrote none"""
    running: dict[str, TrackedRun | None] = field(default_factory=dict)
    """runs that some launch from this results directory left open, by id; None for that of a launch itself"""
    children: dict[str, list[str]] = field(default_factory=dict)
    """ids of this results directory's runs, by the id of the launch that they lie below; an empty text for none"""
    ended: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """the tags of this results directory's finished runs, by id"""

    def lacks(self, entry: TrackedRun, records: Records) -> Record | Failure | None:
        """Return the end of a run that the experiment does not show yet, or None."""
        if entry.fingerprint in self.finished:
            return None
        if record := records.usable(entry.fingerprint):
            return record
        failure = records.failed(entry.fingerprint)
        shown = self.failed.get(entry.fingerprint, set())
        return failure if failure and entry.config and not shown & {"", failure.reason} else None

    def add(self, result: Record | Failure) -> None:
        """Note that the experiment shows this end of a run now."""
        if isinstance(result, Record):
            self.finished.add(result.fingerprint)
        else:
            self.failed.setdefault(result.fingerprint, set()).add(result.reason)
