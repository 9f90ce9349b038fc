"""Write a launch to MLflow from a thread, so that no training waits for a slow or dead server.

A failure is reported once. Runs that are incomplete after it are closed, and entered again from the
records as soon as MLflow answers: while nothing else is to be written, at the end of the launch, at
the next launch, or by `mta-lab sync`.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Thread

from mlflow.entities import Metric
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from mta_lab.errors import UserError, described
from mta_lab.results.notes import notes_of
from mta_lab.results.records import Failure, Record, Records
from mta_lab.tracking.entries import Contents, Launch, LaunchSummary, TrackedRun, runs_of
from mta_lab.tracking.experiment import Experiment, now
from mta_lab.tracking.machine import watched
from mta_lab.tracking.written import score_metrics
from mta_lab.training.result import Progress
from mta_lab.workspace import again

QUEUE = 10_000  # most requests that may wait
PAUSE = 10.0  # seconds between a failure and the next try
PATIENCE = 30.0  # seconds that a launch waits at its end for the thread
HURRY = 5.0  # the same for a launch that was interrupted


@dataclass(frozen=True)
class Request:
    """A call that writes something about a run or, without a fingerprint, about the launch."""

    write: Callable[[], None]
    fingerprint: str = ""
    starts: bool = False
    """True if it opens the run's MLflow run"""
    ended: TrackedRun | None = None
    """the run whose end it writes, if it does"""


class Tracker:
    """The MLflow runs of one launch."""

    def __init__(self, experiment: str, records: Records, say: Callable[[str], None]) -> None:
        self._name, self._records, self._say = experiment, records, say
        self._said = self._complete = False
        self._requests: Queue[Request | None] = Queue(QUEUE)
        self._thread = Thread(target=self._serve, name="mlflow", daemon=True)
        self._live: dict[str, TrackedRun] = {}  # runs from their start until their end is written or dropped
        self._dropped: set[str] = set()  # runs with a request that did not fit into the queue
        self._backlog: deque[TrackedRun] = deque()  # to be entered from the records
        self._counted: dict[tuple[str, str], str] = {}  # fingerprints that count, by row and seed
        # Only the thread uses the rest.
        self._experiment: Experiment | None = None
        self._contents: Contents | None = None  # None: to be queried
        self._run_ids: dict[str, str] = {}
        self._points: dict[str, list[Metric]] = {}
        self._parent = ""
        self._monitor: SystemMetricsMonitor | None = None
        self._away_until = 0.0

    def run_id(self, fingerprint: str) -> str:
        """Return the id of a run's MLflow run, or an empty text while it has none."""
        return self._run_ids.get(fingerprint, "")

    def start(self, launch: Launch) -> None:
        """Open the experiment and the launch's MLflow run."""
        self._launch = launch
        self._thread.start()
        self._put(Request(lambda: None))

    def enter_later(self, entries: Iterable[TrackedRun]) -> None:
        """Enter the ended runs that the experiment lacks, once nothing else is to be written."""
        entries = [*entries]
        self._counted.update(runs_of(entries))
        self._backlog.extend(entries)
        self._put(Request(lambda: None))  # wakes the thread

    def start_run(self, entry: TrackedRun) -> None:
        """Open a run's MLflow run, below the launch's."""
        self._live[entry.fingerprint] = entry
        self._dropped.discard(entry.fingerprint)

        def write() -> None:
            self._points[entry.fingerprint] = []
            self._run_ids[entry.fingerprint] = self._store.start(entry, self._parent)

        self._put(Request(write, entry.fingerprint, starts=True))

    def progress(self, fingerprint: str, progress: Progress) -> None:
        """Add a point to a run's curves; points are written together, with each validation."""
        values = progress.points
        if validation := progress.validation:
            values = {}
            for metric, scores in validation.evaluations.items():
                values |= score_metrics(metric, scores)
        at = now()
        points = [Metric(key, value, at, progress.step) for key, value in values.items()]

        def write() -> None:
            self._points[fingerprint] += points
            if progress.validation:
                self._store.log(self._run_ids[fingerprint], self._taken(fingerprint))

        self._put(Request(write, fingerprint))

    def finish_run(self, record: Record) -> None:
        """Close a finished run's MLflow run, with the costs in its record."""

        def write() -> None:
            self._store.finish(self._run_ids[record.fingerprint], record, self._taken(record.fingerprint))
            self._note(record)

        self._put_last(write, record.fingerprint)

    def fail_run(self, failure: Failure) -> None:
        """Close a failed run's MLflow run, with its traceback as an artifact."""

        def write() -> None:
            self._store.log(self._run_ids[failure.fingerprint], self._taken(failure.fingerprint))
            self._store.fail(self._run_ids[failure.fingerprint], failure)
            self._note(failure)

        self._put_last(write, failure.fingerprint)

    def kill_run(self, fingerprint: str, **tags: str) -> None:
        """Close the MLflow run of an attempt without a result: interrupted, requeued or pruned."""

        def write() -> None:
            self._store.log(self._run_ids[fingerprint], self._taken(fingerprint))
            self._store.kill(self._run_ids[fingerprint], tags)

        self._put_last(write, fingerprint)

    def end(self, status: str, shown: LaunchSummary) -> None:
        """Close the launch's MLflow run, without files where these fail; wait for the thread."""
        files: Mapping[str, str] = {}
        try:
            files = shown.files()
        finally:
            self._close(status, shown, files)

    def _close(self, status: str, shown: LaunchSummary, files: Mapping[str, str]) -> None:
        self._ending = status, shown, files
        until = time.monotonic() + (HURRY if status == "KILLED" else PATIENCE)
        with suppress(Full):
            self._requests.put(None, timeout=until - time.monotonic())
        self._thread.join(max(0.0, until - time.monotonic()))
        if not self._complete:
            command = again("mta-lab sync")
            self._say(f"MLflow is incomplete for this sweep; `{command}` with its name and options completes it")

    @property
    def _store(self) -> Experiment:
        assert self._experiment
        return self._experiment

    def _put(self, request: Request) -> None:
        try:
            self._requests.put_nowait(request)
        except Full:
            self._dropped.add(request.fingerprint)
            self._end(request, done=False)

    def _put_last(self, write: Callable[[], None], fingerprint: str) -> None:
        self._put(Request(write, fingerprint, ended=self._live.get(fingerprint)))

    def _serve(self) -> None:
        """Serve the thread: write what the launch requests, then enter runs from the records."""
        while True:
            wait = max(0.0, self._away_until - time.monotonic()) if self._backlog else None
            try:
                request = self._requests.get(timeout=wait)
            except Empty:
                self._catch_up()
                continue
            if request is None:
                return self._finish(*self._ending)
            self._do(request)

    def _do(self, request: Request) -> None:
        run = request.fingerprint
        whole = not run or (run not in self._dropped and (request.starts or run in self._run_ids))
        done = whole and self._tried(request.write)
        if not done and run in self._run_ids:
            del self._run_ids[run]
            self._contents = None  # its run may be incomplete
        self._end(request, done)

    def _finish(self, status: str, shown: LaunchSummary, files: Mapping[str, str]) -> None:
        self._away_until, self._experiment = 0.0, None  # a last try, which finds what was deleted meanwhile
        if status != "KILLED":  # else the next launch does it
            while (self._contents is None or self._backlog) and self._catch_up():
                pass
        closed = self._tried(lambda: self._store.end_launch(self._parent, status, shown, files))
        self._complete = closed and (status == "KILLED" or not self._backlog)
        if self._monitor:
            self._monitor.finish()

    def _tried(self, write: Callable[[], None]) -> bool:
        """Write, unless MLflow failed a moment ago; return True if it is written."""
        if time.monotonic() < self._away_until:
            return False
        try:
            self._opened()
            write()
        except Exception as error:  # a missing driver, an unreachable server, a full disk: none may end the training
            self._away_until = time.monotonic() + PAUSE
            self._contents = self._experiment = None  # something may be incomplete or deleted
            if not self._said:
                self._said = True
                self._say(f"MLflow failed; the training goes on, the records keep its runs ({described(error)})")
            return False
        self._away_until = 0.0
        return True

    def _opened(self) -> Experiment:
        """Return the experiment with this launch's run, both made again if deleted for good."""
        if not self._experiment:
            found = Experiment(self._name, self._launch, self._records.identity, self._say)
            if self._parent and not found.has(self._parent):
                self._parent = ""
                what = f"run '{self._launch.name}'" if found.exists else f"experiment '{self._name}'"
                self._say(
                    f"MLflow: {what} was deleted for good; it is made again, `{again('mta-lab sync')}` enters its runs"
                )
            self._experiment = found
        if not self._parent:
            self._parent = self._experiment.start_launch()
            if self._monitor:
                self._monitor.finish()
            self._monitor = watched(self._parent)
        return self._experiment

    def _catch_up(self) -> bool:
        """Enter the next run of the backlog, or first close open runs; return True if it worked."""
        if self._contents is None:
            return self._tried(self._take_stock)
        entry = self._backlog[0]
        result = None
        if entry.fingerprint not in self._live:
            with suppress(UserError):  # a record cannot be read; reports say so
                result = self._contents.lacks(entry, self._records)
        if result and not self._tried(lambda: self._enter(entry, result)):
            return False
        self._backlog.popleft()
        return True

    def _enter(self, entry: TrackedRun, result: Record | Failure) -> None:
        self._store.enter(entry, result, self._parent)
        self._note(result)

    def _take_stock(self) -> None:
        contents = self._store.contents()
        ours = {self._parent, *self._run_ids.values()}
        for run_id, entry in contents.running.items():
            if run_id not in ours:
                self._store.kill(run_id)
                self._backlog += [entry] if entry else []
        self._store.mark(contents, self._counted, notes_of(self._records.directory))
        self._contents = contents

    def _note(self, result: Record | Failure) -> None:
        if self._contents:
            self._contents.add(result)

    def _end(self, request: Request, done: bool) -> None:
        """Mark a run as ended unless it started again; enter its end later if it is not written."""
        if request.ended and self._live.get(request.fingerprint) is request.ended:
            del self._live[request.fingerprint]
        if request.ended and not done:
            self._backlog.append(request.ended)

    def _taken(self, fingerprint: str) -> list[Metric]:
        """Return the points of a run that are not written yet, and forget them."""
        points, self._points[fingerprint] = self._points[fingerprint], []
        return points
