"""What a launch and its workers say to each other."""

from dataclasses import dataclass
from pathlib import Path

from mta_lab.config import RunConfig
from mta_lab.results.failures import Kind
from mta_lab.training.result import Progress, TrainingResult


@dataclass(frozen=True, kw_only=True)
class TrainRun:
    """To a worker: train this."""

    config: RunConfig
    corpus_root: Path
    checkpoints: Path
    """the directory where its run is kept"""
    weights: Path
    """the file where its model is kept, once it is done"""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """To a worker: end the run that you are at."""

    keep: bool = False
    """and keep where it is: another will go on with it"""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """From a worker: everything is imported, send a run."""


@dataclass(frozen=True, kw_only=True)
class Progressed:
    """From a worker: its run has come this far."""

    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Note:
    """From a worker: a line on its run that is worth reading."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """From a worker: its run is ended, as asked, and kept at this step."""

    step: int


@dataclass(frozen=True, kw_only=True)
class Finished:
    """From a worker: its run is done."""

    result: TrainingResult


@dataclass(frozen=True, kw_only=True)
class Failed:
    """From a worker: its run raised."""

    kind: Kind
    reason: str
    traceback: str


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


Message = Ready | Progressed | Note | Interrupted | Finished | Failed | Died
