"""The events of a launch, which its listeners hear one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from mta_lab.executors.places import Place
from mta_lab.launch.outlook import Outlook, Tally
from mta_lab.results.records import Failure, Record

if TYPE_CHECKING:  # import slowly
    from mta_lab.planning.runs import Run
    from mta_lab.training.result import Progress, Validation

Outcome = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class LaunchStarted:
    """The launch is about to submit its first run."""

    sweep: str
    scale: str
    """with the settings that the command line changes"""
    command: str
    """which began it, and goes on with it"""
    slots: int


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A slot took a run."""

    run: "Run"
    slot: int
    place: Place | None = None
    """where the slot trains; None where its executor does not say"""


@dataclass(frozen=True, kw_only=True)
class RunProgressed:
    """A run has come further."""

    run: "Run"
    slot: int
    progress: "Progress"


@dataclass(frozen=True, kw_only=True)
class RunValidated:
    """A run was scored on its way; follows the RunProgressed of the same step."""

    run: "Run"
    slot: int
    validation: "Validation"


@dataclass(frozen=True, kw_only=True)
class RunFinished:
    """A run came to its end."""

    run: "Run"
    slot: int
    record: Record


@dataclass(frozen=True, kw_only=True)
class RunFailed:
    """A run failed and is not tried again."""

    run: "Run"
    slot: int
    failure: Failure


@dataclass(frozen=True, kw_only=True)
class RunRequeued:
    """A run waits to start again, in this launch or in the next one."""

    run: "Run"
    slot: int | None
    """which is free now; None where the run had not started"""
    reason: str
    step: int | None = None
    """where it was kept, as asked; None where it was not"""
    failure: Failure | None = None
    """of its attempt; None where it was interrupted"""


@dataclass(frozen=True, kw_only=True)
class RunPruned:
    """A trial of a search was ended early for its score."""

    run: "Run"
    slot: int
    validation: "Validation"
    """the last one"""


@dataclass(frozen=True, kw_only=True)
class RunStopped:
    """A run was stopped by hand: this launch leaves it, and the next one goes on with it."""

    run: "Run"
    slot: int | None
    """which is free now; None where the run had not started"""
    step: int
    """where it was kept; 0 at its start"""


@dataclass(frozen=True, kw_only=True)
class Note:
    """A line that a person should read.

    It may come from MLflow's thread, so listeners only print or append it.
    """

    text: str


@dataclass(frozen=True, kw_only=True)
class LaunchEnded:
    """Nothing is submitted any more."""

    outcome: Outcome
    """failed where a run failed for good"""


RunEvent = RunStarted | RunProgressed | RunValidated | RunFinished | RunFailed | RunRequeued | RunPruned | RunStopped
Event = LaunchStarted | RunEvent | Note | LaunchEnded


class Listener(Protocol):
    """Whoever acts on the events of a launch."""

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Act on an event; `outlook` is how far the launch is with it."""


class Announcer:
    """Tells every listener each event, in the order of the list."""

    def __init__(self, steps: Sequence[int]) -> None:
        """Begin without listeners; `steps` are the optimizer steps of each run to train."""
        self.listeners: list[Listener] = []
        self._tally = Tally(steps)

    def announce(self, event: Event) -> None:
        """Tell an event to every listener.

        An error of one ends the launch: the listeners after it do not hear the event.
        """
        self._count(event)
        outlook = self._tally.outlook()
        for listener in self.listeners:
            listener.hear(event, outlook)

    def say(self, text: str) -> None:
        """Tell a line that a person should read."""
        self.announce(Note(text=text))

    def _count(self, event: Event) -> None:
        match event:
            case LaunchStarted():
                self._tally.slots = event.slots
            case RunStarted():
                self._tally.start(event.slot)
            case RunProgressed():
                self._tally.advance(event.slot, event.progress.step)
            case RunFinished():
                self._tally.end(event.slot, event.run.config.training.steps, event.run.config.training.steps)
            case RunFailed():  # its steps count for nothing: they say little of the speed
                self._tally.end(event.slot, event.run.config.training.steps, 0)
            case RunPruned():
                self._tally.end(event.slot, event.run.config.training.steps, event.validation.step)
            case RunStopped(slot=int(slot)):
                self._tally.end(slot, event.run.config.training.steps, event.step)
            case RunStopped():
                self._tally.drop(event.run.config.training.steps)
            case RunRequeued(slot=int(slot)):
                self._tally.release(slot)
