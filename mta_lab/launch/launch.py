"""One launch: finds what is missing of a sweep, or of its search, and has it trained.

Its listeners hear each event in this order:

1. the records, which are the truth about what is finished;
2. the log of events, the status file and the display, which only tell of it;
3. the next run: no slot waits for the copies that follow;
4. the queue, which keeps Optuna's study;
5. the trackers that a launch names, then MLflow's, the slowest: at the end it is waited for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mta_lab.data.corpus import corpus_name
from mta_lab.devices.visible import Gpu, counted_gpus
from mta_lab.executors.base import Executor
from mta_lab.executors.launchers import LOCAL, Launcher, Wanted, executor_of
from mta_lab.launch.event_log import EventLog
from mta_lab.launch.events import Announcer, LaunchStarted, Listener
from mta_lab.launch.guards import disk_full_reported, only_launch
from mta_lab.launch.listeners import NextRun, QueueListener, RecordsListener, TrackerListener
from mta_lab.launch.loop import LaunchLoop
from mta_lab.launch.queue import Queue, SearchQueue, SweepQueue
from mta_lab.launch.recording import Recorder
from mta_lab.launch.retries import Retries
from mta_lab.launch.status_file import StatusFile, status_file
from mta_lab.launch.tracked import entry_of
from mta_lab.launch.trackers import trackers
from mta_lab.planning.runs import Run, refuse_lost_weights, states, to_train, with_parents
from mta_lab.results.records import Records
from mta_lab.sweep import PlannedRun, Sweep
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.words import counted
from mta_lab.workspace import JOURNAL

if TYPE_CHECKING:
    from mta_lab.scheduling import Trials
    from mta_lab.tracking.tracker import Tracker


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """The options of a launch; none of them changes a result."""

    workers: int
    """processes that train at the same time, at most"""
    components: Sequence[Path]
    """files or folders of a user's components, which workers load"""
    corpus_root: Path
    """the directory of prepared texts"""
    command: str
    """what a user typed, and may type again"""
    trial_timeout: float | None = None
    """seconds after which an attempt is ended; None for any time"""
    rerun_stale: bool = False
    """whether runs are trained anew whose only results are of other code, text or engine"""
    devices: Sequence[Gpu] = ()
    """the GPUs that workers have in turn; none where they train on the CPU"""
    devices_per_run: int = 1
    """the number of them that train a run together; on the CPU, of processes"""
    launcher: Launcher = LOCAL
    """where the workers are"""
    trackers: Sequence[str] = ()
    """names of the trackers, beside MLflow, that curves are copied to"""

    @property
    def place(self) -> str:
        """Return in words what trains: '8 workers on 8 x NVIDIA H100'."""
        devices = counted_gpus(self.devices[: self.workers * self.devices_per_run])
        each = f", {self.devices_per_run} {'GPUs' if devices else 'processes'} a run"
        on = f" on {devices}" if devices else ""
        if self.launcher.elsewhere:
            on = f" on {self.launcher.address or 'Slurm'}"
        return f"{counted(self.workers, 'worker')}{on}{each if self.devices_per_run > 1 else ''}"


def launch(
    sweep: Sweep,
    runs: Sequence[Run],
    *,
    records: Records,
    options: LaunchOptions,
    display: Listener,
    shown: Callable[[], LaunchSummary],
) -> None:
    """Train what is missing of `runs`; return when each has finished or failed.

    Runs that finished or failed before are left alone, and stale ones unless they are asked for.
    `shown` makes what MLflow shows on the launch's parent run. Interrupted, it raises
    KeyboardInterrupt: everything finished is kept, and the same launch goes on from there.
    """
    with only_launch(records.directory), disk_full_reported(records.directory / JOURNAL):
        records.clean_up()
        found, every = states(runs, records), with_parents(runs)
        pending = to_train(runs, found, rerun_stale=options.rerun_stale)
        if not pending:
            return
        refuse_lost_weights(pending, found, records)
        announcer = Announcer([run.config.training.steps for run in pending])
        with status_file(sweep, every, found, records.directory, options.command) as status:
            announcer.listeners += _first(records, status, display)
            with _executor(sweep, options, len(pending), records, announcer) as executor:
                from mta_lab.scheduling import Study  # noqa: PLC0415  imports Optuna while the workers start

                study = Study(records.directory / JOURNAL, sweep.shown_as, announcer.say, sweep.validated_by.direction)
                queue = SweepQueue(pending, study, announcer.say)
                loop, tracker = _loop(sweep, queue, records, options, executor, announcer, shown)
                with loop.announced(_started(sweep, options, executor)):
                    queue.import_finished(every, records)
                    tracker.enter_later(entry_of(sweep, run) for run in every)
                    loop.until_done()


def launch_search(
    sweep: Sweep,
    run_of: Callable[[PlannedRun], Run],
    *,
    missing: int,
    records: Records,
    options: LaunchOptions,
    display: Listener,
    open_studies: Callable[[Callable[[str], None]], Mapping[str, "Trials"]],
) -> None:
    """Run the `missing` trials of the sweep's search; return when each has ended.

    `open_studies` opens the study of each row that is searched, and says lines on the way.
    """
    search = sweep.search
    assert search
    journal = records.directory / JOURNAL
    announcer = Announcer([max(row.config.training.steps for row in sweep.rows)] * missing)
    with (
        only_launch(records.directory),
        disk_full_reported(journal),
        status_file(sweep, [], {}, records.directory, options.command) as status,
    ):
        announcer.listeners += _first(records, status, display)
        with _executor(sweep, options, missing, records, announcer) as executor:
            studies = open_studies(announcer.say)

            def shown() -> LaunchSummary:
                counts = {row: study.counts() for row, study in studies.items()}
                return LaunchSummary("\n".join(f"- {row}: {count}" for row, count in counts.items()))

            queue = SearchQueue(search, studies, run_of, records)
            queue.ask_again()
            loop, _ = _loop(sweep, queue, records, options, executor, announcer, shown)
            with loop.announced(_started(sweep, options, executor)):
                loop.until_done()


def _executor(sweep: Sweep, options: LaunchOptions, runs: int, records: Records, announcer: Announcer) -> Executor:
    """Return an executor for so many runs."""
    wanted = Wanted(
        workers=min(options.workers, runs),
        of=options.workers,
        components=[*options.components, *sweep.components],
        directory=records.directory,
        devices=[gpu.key for gpu in options.devices],
        devices_per_run=options.devices_per_run,
    )
    return executor_of(options.launcher, wanted, announcer.say)


def _first(records: Records, status: StatusFile, display: Listener) -> list[Listener]:
    """Return the listeners that must hear an event before the next run is submitted.

    These are the records, and what tells of them.
    """
    return [RecordsListener(records), EventLog(records.directory), status, display]


def _loop(
    sweep: Sweep,
    queue: Queue,
    records: Records,
    options: LaunchOptions,
    executor: Executor,
    announcer: Announcer,
    shown: Callable[[], LaunchSummary],
) -> "tuple[LaunchLoop, Tracker]":
    """Return the loop with the later listeners: the next run, and the copies of results."""
    from mta_lab.tracking.tracker import Tracker  # noqa: PLC0415  imports MLflow while the workers start

    tracker = Tracker(sweep.shown_as, records, announcer.say)
    recorder = Recorder(records, options.corpus_root, options.trial_timeout, tracker.run_id)
    loop = LaunchLoop(queue, executor, announcer, recorder, Retries(sweep.retry))
    others = trackers(options.trackers, sweep.shown_as, records.directory, announcer.say)
    copies = QueueListener(queue, loop.prune), *others, TrackerListener(sweep, tracker, shown)
    announcer.listeners += [NextRun(loop.submit), *copies]
    return loop, tracker


def _started(sweep: Sweep, options: LaunchOptions, executor: Executor) -> LaunchStarted:
    slots = len(executor.slots)
    return LaunchStarted(sweep=sweep.name, scale=sweep.conditions, command=options.command, slots=slots)


def study_name(sweep: Sweep, row: str) -> str:
    """Return the name of a searched row's Optuna study.

    Another search of the row, or other text, has another name.

    The key is of all that its trials compute. So a file that is moved keeps its trials, and so do
    those of earlier versions, which called a sweep by its file's stem wherever that lay.
    """
    search = sweep.search
    assert search
    config = search.config(row, search.first_values(row))
    text = f"-{corpus_name(config.data)}" if config.reads_text else ""
    name = sweep.file.stem if sweep.file else sweep.name
    return f"{name}-{sweep.scale}-search-{row}-{search.key(row)}{text}"
