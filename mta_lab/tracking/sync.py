"""Bring an experiment up to the records, while no launch writes to either."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mta_lab.errors import UserError, described
from mta_lab.results.notes import notes_of
from mta_lab.results.records import Failure, Records
from mta_lab.tracking.entries import Launch, LaunchSummary, TrackedRun, runs_of
from mta_lab.tracking.experiment import Experiment
from mta_lab.words import counted
from mta_lab.workspace import again


@dataclass
class Synced:
    """The numbers of runs that were entered and closed."""

    finished: int = 0
    """finished runs entered"""
    failed: int = 0
    """failed runs entered"""
    closed: int = 0
    """MLflow runs closed that a launch had left open"""


def sync(
    name: str,
    launch: Launch,
    entries: Iterable[TrackedRun],
    records: Records,
    say: Callable[[str], None],
    shown: Callable[[], LaunchSummary] = LaunchSummary,
) -> Synced:
    """Enter the `entries` that the experiment lacks, and close the runs that launches left open.

    The caller holds the lock of launches. New entries are put below a run like that of `launch`,
    which shows `shown()`. A run that is closed is also entered if it has finished, whatever
    settings it was launched with. What was deleted or moved meanwhile is mended, and `say` reports
    it.

    Raises:
        UserError: MLflow failed. What is entered by then stays, and the next call goes on.
    """
    done, parent = Synced(), ""
    with _failures_said(name):
        experiment = Experiment(name, launch, records.identity, say)
        contents, entries = experiment.contents(), [*entries]
        for run_id in contents.running:
            experiment.kill(run_id)
            done.closed += 1
        for entry in [*entries, *filter(None, contents.running.values())]:
            result = contents.lacks(entry, records)
            if result is None:
                continue
            parent = parent or experiment.start_launch()
            experiment.enter(entry, result, parent)
            contents.add(result)
            if isinstance(result, Failure):
                done.failed += 1
            else:
                done.finished += 1
        for run_id, children in contents.children.items():
            if run_id and not experiment.has(run_id):
                parent = parent or experiment.start_launch()
                experiment.put_below(parent, children)
                had = counted(len(children), "run")
                say(f"MLflow: run '{launch.name}' was deleted for good; a new one has its {had} below it")
        notes = notes_of(records.directory)
        if notes and done.finished:
            contents = experiment.contents()  # with the runs that were entered now
        experiment.mark(contents, runs_of(entries), notes)
        if not parent:
            experiment.show()
    if parent:
        found = shown()
        files = found.files()
        with _failures_said(name):
            experiment.end_launch(parent, "FAILED" if done.failed else "FINISHED", found, files)
    return done


@contextmanager
def _failures_said(name: str) -> Iterator[None]:
    """Turn whatever a store or a server raises into a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        later = f"the records keep all results, type `{again('mta-lab sync')}` again later"
        raise UserError(f"{name}: MLflow failed ({described(error)}); {later}") from None
