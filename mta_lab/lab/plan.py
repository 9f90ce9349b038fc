"""Hold a planned sweep: its rows, its records, and the display that shows what is done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mta_lab.config import RunConfig
from mta_lab.lab.display import Display
from mta_lab.precision import resolve_auto
from mta_lab.results.records import Records
from mta_lab.sweep import Sweep
from mta_lab.sweep.search import Winners
from mta_lab.workspace import RESULTS


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A resolved sweep, with its records."""

    given: str
    """the sweep's name or file, as it was given"""
    sweep: Sweep
    records: Records
    display: Display
    components: Sequence[Path] = ()
    """files and folders with the user's components, beside those that the sweep's file names"""
    command: str
    """the command that trains it, as typed"""
    retry: str
    """the command that tries its failed runs again, as typed"""
    report: str = ""
    """the command that shows its table, as typed; empty for a run of `train`"""
    under: Callable[[str, Sequence[str]], tuple[Sweep, str]] | None = None
    """returns the sweep at another scale and settings, without its search, and how to report it"""
    reload: Callable[[Winners], Sweep] | None = None
    """returns the sweep anew, with these winners of its search as rows"""
    rerun_stale: bool = False
    """True if a launch trains stale runs again"""
    trackers: Sequence[str] = ()
    """names of the trackers, beside MLflow, that a launch copies curves to"""


def open_records(display: Display, directory: Path = RESULTS) -> Records:
    """Open the records in a directory; a file that cannot be used is left out and reported."""
    return Records(directory, say=display.note)


def resolved_auto(config: RunConfig, like: RunConfig, display: Display) -> RunConfig:
    """Return `config` with its precision `auto` replaced by what this machine computes faster."""
    return resolve_auto(config, like, display.note)
