"""A listener that shows a launch to a person."""

from typing import TYPE_CHECKING, Protocol

from mta_lab.launch.events import (
    Event,
    LaunchEnded,
    Note,
    RunFailed,
    RunFinished,
    RunProgressed,
    RunPruned,
    RunRequeued,
    RunStarted,
)
from mta_lab.launch.outlook import Outlook
from mta_lab.planning.runs import Run
from mta_lab.results.records import Failure, Record

if TYPE_CHECKING:  # imports slowly
    from mta_lab.training.result import Progress, Validation


class Observer(Protocol):
    """Whoever shows a launch to a person."""

    def say(self, message: str) -> None:
        """A line worth reading."""

    def started(self, worker: int, run: Run) -> None:
        """A worker took a run."""

    def advanced(self, worker: int, run: Run, progress: "Progress") -> None:
        """A run has come further."""

    def ended(self, worker: int, run: Run, result: Record | Failure) -> None:
        """A run finished or failed."""

    def stopped(self, worker: int, run: Run, last: "Validation") -> None:
        """A trial was ended early, for what it scored last."""

    def released(self, worker: int) -> None:
        """A worker is off its run, which is to be tried again or gone on with."""


class Showing:
    """Tells an observer what happens."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Show the event."""
        match event:
            case Note():
                self._observer.say(event.text)
            case RunStarted():
                self._observer.started(event.slot, event.run)
            case RunProgressed():
                self._observer.advanced(event.slot, event.run, event.progress)
            case RunFinished():
                self._observer.ended(event.slot, event.run, event.record)
            case RunFailed():
                self._observer.ended(event.slot, event.run, event.failure)
            case RunPruned():
                self._observer.stopped(event.slot, event.run, event.validation)
            case RunRequeued(slot=int(slot)):
                self._requeued(event, slot)
            case LaunchEnded():
                if outlook.busy is not None and event.outcome != "interrupted":
                    busy = f"{outlook.busy:.1%} of the time from the first run's start on"
                    self._observer.say(f"the workers were busy {busy}")

    def _requeued(self, event: RunRequeued, slot: int) -> None:
        if event.failure:
            how = f"{event.failure.kind}: {event.reason}; it is tried again"
            self._observer.say(f"worker {slot}: {event.run.label} {how}")
        elif event.step is not None:
            self._observer.say(f"worker {slot}: {event.run.label} {event.reason}, goes on from there")
        self._observer.released(slot)
