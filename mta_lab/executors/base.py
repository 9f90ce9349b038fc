"""The contract between a launch and what trains its runs: processes here, or machines elsewhere.

A launch submits runs, polls for what became of them, and may cancel some. It knows nothing of how
they are trained. `tests/executors/conformance.py` holds every executor to what is said here.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from mta_lab.executors.places import Place
from mta_lab.results.failures import Kind

if TYPE_CHECKING:  # imports slowly
    from mta_lab.config import RunConfig
    from mta_lab.training.result import Progress, TrainingResult

State = Literal["queued", "running", "ended"]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """A share of a machine."""

    cores: int
    """threads that torch computes with"""
    gpus: float = 0.0
    """devices; less than 1 is a share of one"""
    memory: int | None = None
    """bytes; None where nothing limits them but the machine"""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place where one run at a time is trained."""

    number: int
    """0, 1, ...; the one that a person reads as `worker 0`"""
    resources: Resources
    place: Place | None = None
    """where it trains, once that is known; a slot whose machine is replaced is another slot"""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """All that is needed to train a run."""

    config: "RunConfig"
    corpus_root: Path
    """the directory of prepared texts"""
    checkpoints: Path
    """the directory where the unfinished run is kept, named by the run's fingerprint"""
    weights: Path
    """the file where the model of the finished run is kept"""
    start: Path | None = None
    """the weights from which a stage starts, named by its parent's fingerprint; None: drawn ones"""
    timeout: float | None = None
    """seconds that the run may take, counted from its start in a slot; None for any time"""
    attempt: str = ""
    """the name by which this attempt has the run (see `executors.fence`);
    empty where nobody else could have it"""


class Handle:
    """A submitted run. Its executor alone changes it."""

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self.state: State = "queued"
        self.slot: Slot | None = None
        """the slot that it runs or ran in; None as long as it is queued"""


@dataclass(frozen=True, kw_only=True)
class Started:
    """A slot has taken the run."""


@dataclass(frozen=True, kw_only=True)
class Progressed:
    """The run has come this far.

    A run that goes on from a checkpoint reports its earlier progress once more first.
    """

    progress: "Progress"


@dataclass(frozen=True, kw_only=True)
class Note:
    """A line about the run that a person should read."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The run has ended well; its weights are written."""

    result: "TrainingResult"


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The attempt has failed: the run raised, its process or machine is gone, or its time is up."""

    kind: Kind
    reason: str
    """one line"""
    traceback: str
    """of the exception, or what the process printed last"""
    micro_batch: int | None = None
    """sequences that it read at a time; None where that is not known"""


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """The run has ended early, because the launch cancelled it or its place was taken away."""

    step: int
    """optimizer steps done; 0 where it had not started"""
    kept: bool
    """whether the same request goes on from there"""


End = Finished | Failed | Cancelled
RunEvent = Started | Progressed | Note | End
"""what a run's handle is told; nothing follows an `End`"""


class Executor(ABC):
    """Trains submitted runs in its slots; use as a context manager, which closes it.

    Order. The events of a handle are one `Started`, any number of `Progressed` and `Note`, and one
    `End`. A run that is cancelled while it is queued has its `End` alone. Runs start in the order
    of their submission.

    States. A handle is queued from `submit`, running from `Started`, ended from its `End`. It
    changes not later than the event is returned by `poll`.

    Failures. Whatever happens to one run ends as its `Failed`: no exception of a run leaves the
    executor, and its slot goes on with the next run. A process that died is `killed`; one whose
    machine is gone is `lost`, which a launch forgives more often. A slot that was lost is replaced
    under the same number. Only where no slot can be started any more does `poll` raise UserError.
    Whatever a slot says of a run after its `End` is dropped: another may have the run by then.

    Time. A timeout counts from the run's start, however long it was queued. It ends as `Failed` of
    the kind `timed_out`, also where the run hangs. A run that was cancelled with `keep` has no
    timeout any more.
    """

    slots: list[Slot]
    """all of them, also those that are still starting; more runs than these may be submitted.
    One whose worker becomes ready is replaced by one of the same number that has its place"""

    @abstractmethod
    def submit(self, request: RunRequest) -> Handle:
        """Return the handle of a run that starts as soon as a slot is free; return at once."""

    @abstractmethod
    def poll(self, seconds: float) -> Sequence[tuple[Handle, RunEvent]]:
        """Return the events since the last call, in order; wait at most `seconds` for one.

        Raise UserError where no slot can be started any more.
        """

    @abstractmethod
    def cancel(self, handle: Handle, *, keep: bool) -> None:
        """Ask for the early end of a run, and return at once.

        With `keep`, the same request goes on from there later.

        It ends as `Cancelled`, or otherwise if that came first. Cancelling an ended run does
        nothing.
        """

    @abstractmethod
    def close(self) -> None:
        """Give up all slots at once; what still runs loses its work since its last checkpoint.

        Every handle is ended.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
