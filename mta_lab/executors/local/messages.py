"""The messages between the pool and its workers, beside the events of a run (`executors.base`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mta_lab.executors.base import RunEvent
from mta_lab.executors.places import Place
from mta_lab.results.failures import Kind

if TYPE_CHECKING:  # imports slowly
    from mta_lab.data.content import Stamps


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that a worker or a rank is told before its runs."""

    components: Sequence[Path]
    threads: int
    """torch threads of each process that trains"""
    count: int = 1
    """processes that train a run together, its ranks; 1: the worker itself trains"""
    plugins: bool = False
    """True if plugins are loaded, too"""
    texts: "Mapping[Path, Stamps]" = field(default_factory=dict)
    """files that the launch has read, and that need not be read again with the same stamps"""
    directory: Path | None = None
    """the launch's, in which workers elsewhere look for what it wrote for them"""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """To a worker: end the run that you are at."""

    keep: bool = False
    """and keep where it is: another will go on with it"""


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """From a relay: it has a place on a host, and a worker process starts there."""

    host: str


@dataclass(frozen=True, kw_only=True)
class Ready:
    """From a worker: everything is imported, send a run."""

    place: Place


@dataclass(frozen=True, kw_only=True)
class Died:
    """From the pool: the worker process is gone, and another is starting in its place."""

    kind: Kind
    by_itself: bool
    """it exited or crashed: nobody sent it SIGKILL or SIGTERM"""
    reason: str
    log: Path
    printed: str
    """what it wrote there"""


PRINTED = 4000  # characters of what a dead process printed last that a failure holds
Message = Arrived | Ready | RunEvent | Died
