"""One launch: finds what is missing of a sweep, or of its search, and runs it on worker processes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mta_lab.data.corpus import corpus_name
from mta_lab.executors.local.executor import LocalExecutor
from mta_lab.executors.local.pool import threads
from mta_lab.launch.guards import disk_full_reported, only_launch
from mta_lab.launch.loop import LaunchLoop, Observer
from mta_lab.launch.queue import SearchQueue, SweepQueue
from mta_lab.launch.status_file import status_file
from mta_lab.launch.tracked import entry_of
from mta_lab.planning.runs import Run, states, to_train
from mta_lab.results.records import Records
from mta_lab.sweep import PlannedRun, Sweep
from mta_lab.tracking.entries import LaunchSummary

JOURNAL = "optuna.journal"


def launch(
    sweep: Sweep,
    runs: Sequence[Run],
    *,
    records: Records,
    workers: int,
    components: Sequence[Path],
    corpus_root: Path,
    observer: Observer,
    shown: Callable[[], LaunchSummary],
    command: str,
    trial_timeout: float | None = None,
    rerun_stale: bool = False,
) -> None:
    """Train what is missing of `runs` on `workers` processes; returns when each has finished or failed.

    Runs that finished or failed before are left alone, and stale ones unless they are asked for. An attempt that takes
    longer than `trial_timeout` seconds is ended. `shown` makes what MLflow shows on the launch's parent run; `command`
    is what a user typed, and may type again.
    Interrupted, everything finished is kept, and the same launch goes on from there.
    """
    with only_launch(records.directory), disk_full_reported(records.directory / JOURNAL):
        records.clean_up()
        found = states(runs, records)
        pending = to_train(runs, found, rerun_stale=rerun_stale)
        components = [*components, *sweep.components]
        if not pending:
            return
        with (
            status_file(observer, sweep, runs, found, pending, records.directory, command) as observer,
            LocalExecutor(min(workers, len(pending)), components, records.directory, threads(workers)) as executor,
        ):
            from mta_lab.scheduling import Study
            from mta_lab.tracking.tracker import Tracker

            queue = SweepQueue(
                pending, Study(records.directory / JOURNAL, sweep.shown_as, observer.say, sweep.metric.direction)
            )
            tracker = Tracker(sweep.shown_as, records, observer.say)
            loop = LaunchLoop(sweep, queue, records, corpus_root, observer, executor, tracker, trial_timeout)
            with loop.tracked(shown):
                queue.import_finished(runs, records)
                tracker.enter_later(entry_of(sweep, run) for run in runs)
                loop.until_done()


def launch_search(
    sweep: Sweep,
    run_of: Callable[[PlannedRun], Run],
    *,
    missing: int,
    records: Records,
    workers: int,
    components: Sequence[Path],
    corpus_root: Path,
    observer: Observer,
    command: str,
    trial_timeout: float | None = None,
) -> None:
    """Run the trials that the sweep's search still lacks, `missing` of them; returns when each has ended."""
    search = sweep.search
    assert search
    journal = records.directory / JOURNAL
    components = [*components, *sweep.components]
    with (
        only_launch(records.directory),
        disk_full_reported(journal),
        status_file(observer, sweep, [], {}, [], records.directory, command) as observer,
        LocalExecutor(min(workers, missing), components, records.directory, threads(workers)) as executor,
    ):
        from mta_lab.scheduling import Trials
        from mta_lab.tracking.tracker import Tracker

        studies = {
            row: Trials.opened(
                journal, study_name(sweep, row), observer.say, search.space_of(row), sweep.metric.direction
            )
            for row in search.templates
        }
        queue = SearchQueue(search, studies, run_of, records)
        queue.ask_again()
        tracker = Tracker(sweep.shown_as, records, observer.say)
        loop = LaunchLoop(sweep, queue, records, corpus_root, observer, executor, tracker, trial_timeout)

        def shown() -> LaunchSummary:
            counts = {row: study.counts() for row, study in studies.items()}
            return LaunchSummary("\n".join(f"- {row}: {count}" for row, count in counts.items()))

        with loop.tracked(shown):
            loop.until_done()


def study_name(sweep: Sweep, row: str) -> str:
    """Return the name of the Optuna study of a searched row; another search of the row, or other text, has another.

    The key is of all that its trials compute. So a file that is moved keeps its trials, and so do those of earlier
    versions, which called a sweep by its file's stem wherever that lay.
    """
    search = sweep.search
    assert search
    config = search.config(row, search.first_values(row))
    text = f"-{corpus_name(config.data)}" if config.reads_text else ""
    name = sweep.file.stem if sweep.file else sweep.name
    return f"{name}-{sweep.scale}-search-{row}-{search.key(row)}{text}"
