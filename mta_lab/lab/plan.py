"""A planned sweep: its rows, where its records are, and what shows what is done with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mta_lab.config import RunConfig
from mta_lab.lab.display import Display
from mta_lab.results.records import Records
from mta_lab.sweep import Sweep
from mta_lab.sweep.search import Winners
from mta_lab.workspace import RESULTS


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A resolved sweep and where its records are."""

    given: str
    """the sweep's name or file, as it was given"""
    sweep: Sweep
    records: Records
    display: Display
    components: Sequence[Path] = ()
    """files and directories with components of the user's, beside those that the sweep's file names"""
    command: str
    """what trains it, as it is typed"""
    retry: str
    """what tries its failed runs again, as it is typed"""
    report: str = ""
    """what shows its table, as it is typed; empty for a run of `train`"""
    under: Callable[[str, Sequence[str]], tuple[Sweep, str]] | None = None
    """the sweep at another scale and under other settings, before any search, and what shows its table"""
    reload: Callable[[Winners], Sweep] | None = None
    """the sweep anew, its searched rows at the values that won"""
    rerun_stale: bool = False
    """whether a launch trains runs anew whose only results are of other code, text or engine"""


def open_records(display: Display, directory: Path = RESULTS) -> Records:
    """Open the records below a directory; a file among them that cannot be used is left out, and said."""
    return Records(directory, say=display.note)


def resolved_auto(config: RunConfig, like: RunConfig, display: Display) -> RunConfig:
    """Return `config` with what it leaves open decided for this machine."""
    if config.training.precision != "auto":
        return config
    from mta_lab.precision import resolve_auto  # imports torch's compiler

    return resolve_auto(config, like, display.note)
