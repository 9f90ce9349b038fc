"""The listeners of a launch, beside its log of events and its status file.

Their order is said in `launch.py`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mta_lab.launch.events import (
    Event,
    LaunchEnded,
    LaunchStarted,
    Outcome,
    RunFailed,
    RunFinished,
    RunProgressed,
    RunPruned,
    RunRequeued,
    RunStarted,
    RunStopped,
    RunValidated,
)
from mta_lab.launch.outlook import Outlook
from mta_lab.launch.queue import Queue
from mta_lab.launch.tracked import entry_of, launch_of
from mta_lab.planning.runs import Run
from mta_lab.results.records import Records
from mta_lab.sweep import Sweep
from mta_lab.tracking.entries import LaunchSummary

if TYPE_CHECKING:  # imports slowly
    from mta_lab.tracking.tracker import Tracker


class RecordsListener:
    """Keeps in the records how runs and their attempts ended."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Write a record or a failure."""
        match event:
            case RunFinished():
                self._records.finish(event.record)
            case RunFailed() | RunRequeued():
                if event.failure:
                    self._records.fail(event.failure)
            case RunPruned():
                self._records.forget_checkpoints(event.run.fingerprint)


class NextRun:
    """Submits the next run as soon as one has ended well.

    The listeners after it copy the results later.
    """

    def __init__(self, submit: Callable[[], None]) -> None:
        self._submit = submit

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Submit."""
        if isinstance(event, RunFinished | RunPruned):
            self._submit()


class QueueListener:
    """Tells the queue what became of its runs."""

    def __init__(self, queue: Queue, prune: Callable[[Run], None]) -> None:
        """`prune` ends a run early: a search asks for that."""
        self._queue, self._prune = queue, prune

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Pass the event on."""
        match event:
            case RunValidated():
                if self._queue.validated(event.run, event.validation.step, event.validation.score):
                    self._prune(event.run)
            case RunFinished():
                self._queue.finished(event.run, event.record)
            case RunFailed():
                self._queue.failed(event.run, event.failure.reason)
            case RunRequeued():
                self._queue.requeue(event.run, event.reason)
            case RunPruned():
                self._queue.stopped(event.run)
            case RunStopped():
                self._queue.set_aside(event.run)


STATUS: dict[Outcome, str] = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
"""MLflow's words"""


class TrackerListener:
    """Shows the launch and its runs in MLflow."""

    def __init__(self, sweep: Sweep, tracker: "Tracker", shown: Callable[[], LaunchSummary]) -> None:
        """`shown` makes what the launch's own MLflow run shows at its end."""
        self._sweep, self._tracker, self._shown = sweep, tracker, shown

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Hand the event to MLflow's thread; at the end of the launch, wait for it."""
        match event:
            case LaunchStarted():
                self._tracker.start(launch_of(self._sweep))
            case RunStarted():
                self._tracker.start_run(entry_of(self._sweep, event.run))
            case RunProgressed():
                self._tracker.progress(event.run.fingerprint, event.progress)
            case RunFinished():
                self._tracker.finish_run(event.record)
            case RunFailed():
                self._tracker.fail_run(event.failure)
            case RunRequeued(slot=int()):
                failure = event.failure
                tags = {"failure": failure.kind, "reason": failure.reason} if failure else {}
                self._tracker.kill_run(event.run.fingerprint, **tags)
            case RunPruned():
                self._tracker.kill_run(event.run.fingerprint, trial_state="PRUNED")
            case RunStopped(slot=int()):
                self._tracker.kill_run(event.run.fingerprint, reason="stopped by hand")
            case LaunchEnded():
                self._end(event.outcome)

    def _end(self, outcome: Outcome) -> None:
        """Close the launch's run, also where making its table fails.

        An interrupted launch has only its note.
        """
        found = LaunchSummary()
        try:
            found = self._shown()
            if outcome == "interrupted":
                found = LaunchSummary(found.note)
        finally:
            self._tracker.end(STATUS[outcome], found)
