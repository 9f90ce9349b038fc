"""Describe the content of an MLflow experiment: what it should show, and what it lacks."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from components.metrics import PERPLEXITY, Metric
from mta_lab.results.records import Failure, Record, Records


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A run as MLflow shows it; its end is read from the records when it is entered."""

    fingerprint: str
    name: str
    config: Any
    """a RunConfig; None where only the record of a finished run has it"""
    tags: Mapping[str, str]


def runs_of(entries: Iterable[TrackedRun]) -> dict[tuple[str, str], str]:
    """Return the fingerprint of each (row, seed)."""
    return {(entry.tags["row"], entry.tags["seed"]): entry.fingerprint for entry in entries}


class Launch(NamedTuple):
    """A launch: its MLflow run is the parent of those of its runs."""

    name: str
    tags: Mapping[str, str]
    """tags of its MLflow run; those below it share its `launch` and `settings`"""
    metric: Metric = PERPLEXITY
    """the metric that runs are compared by"""
    params: Collection[str] = ()
    """settings in which its runs differ: columns of the experiment's view"""
    formerly: str = ""
    """the experiment's name in earlier versions, where it is the only one it can be"""


class LaunchSummary(NamedTuple):
    """The content of a launch's own MLflow run, written at its end."""

    note: str = ""
    """the table, as Markdown"""
    summary: Mapping[str, Mapping[str, float]] = {}
    """numbers of the table, which become metrics: row -> name -> number"""
    files: Callable[[], Mapping[str, str]] = dict
    """returns the artifacts (path -> text); figures take seconds to draw"""


@dataclass
class Contents:
    """The MLflow runs of an experiment."""

    finished: set[str] = field(default_factory=set)
    """fingerprints of finished runs"""
    failed: dict[str, set[str]] = field(default_factory=dict)
    """reasons of failures by fingerprint; empty texts where an earlier version wrote none"""
    running: dict[str, TrackedRun | None] = field(default_factory=dict)
    """runs that launches from this results directory left open, by id; None for a launch's own"""
    children: dict[str, list[str]] = field(default_factory=dict)
    """ids of this results directory's runs, by their launch's id; an empty text for no launch"""
    ended: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """tags of this results directory's finished runs, by id"""

    def lacks(self, entry: TrackedRun, records: Records) -> Record | Failure | None:
        """Return a run's record or failure if the experiment does not show it yet, else None."""
        if entry.fingerprint in self.finished:
            return None
        if record := records.usable(entry.fingerprint):
            return record
        failure = records.failed(entry.fingerprint)
        shown = self.failed.get(entry.fingerprint, set())
        return failure if failure and entry.config and not shown & {"", failure.reason} else None

    def add(self, result: Record | Failure) -> None:
        """Note that the experiment shows this record or failure now."""
        if isinstance(result, Record):
            self.finished.add(result.fingerprint)
        else:
            self.failed.setdefault(result.fingerprint, set()).add(result.reason)
