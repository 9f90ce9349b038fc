"""What an experiment should show of a cell, and whether it does."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from mta_lab.records import Failure, Record, Records


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A cell as a run of an experiment; how it ended is read from the records when it is entered."""

    fingerprint: str
    name: str
    config: Any
    """a RunConfig; None where only a finished cell's record knows it"""
    tags: Mapping[str, str]
    params: Collection[str] | None = None
    """the flattened settings that become params; None for all of them"""


@dataclass
class Contents:
    """What an experiment holds."""

    finished: set[str] = field(default_factory=set)
    """fingerprints"""
    failed: dict[str, set[str]] = field(default_factory=dict)
    """reasons by fingerprint; an empty one where an earlier version wrote none"""
    running: dict[str, Entry | None] = field(default_factory=dict)
    """runs that some launch from this results directory left open, by id; None is a launch's own run"""

    def lacks(self, entry: Entry, records: Records) -> Record | Failure | None:
        """The end of a cell that the experiment does not show yet, or None."""
        if entry.fingerprint in self.finished:
            return None
        if record := records.finished(entry.fingerprint):
            return record
        failure = records.failed(entry.fingerprint)
        shown = self.failed.get(entry.fingerprint, set())
        return failure if failure and entry.config and not shown & {"", failure.reason} else None

    def add(self, result: Record | Failure) -> None:
        """Note that the experiment shows this end of a cell now."""
        if isinstance(result, Record):
            self.finished.add(result.fingerprint)
        else:
            self.failed.setdefault(result.fingerprint, set()).add(result.reason)
