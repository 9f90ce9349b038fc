"""`sync`: what MLflow lacks of the records is entered."""

from collections.abc import Sequence
from pathlib import Path

from mta_lab.cli.common import make_console, note
from mta_lab.cli.own_sweeps import every_plan
from mta_lab.cli.sweeping import Plan, known_runs, launch_summary, plan, table_of
from mta_lab.errors import UserError
from mta_lab.launch.guards import only_launch
from mta_lab.launch.tracked import entry_of, launch_of
from mta_lab.planning.runs import Run
from mta_lab.results.records import Records
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.words import counted


def run(name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path]) -> None:
    """Bring the experiment of the sweep `name`, of `train` or of every sweep up to the records."""
    with only_launch(Records().directory):  # a launch does it by itself, and closes its runs itself
        if name == "train":
            from mta_lab.cli.single import one_run

            one = one_run(settings, scale, components)
            _sync(one, _runs(one))
            return
        given = settings, scale, seeds, components
        for found in every_plan(*given) if name == "all" else [plan(name, *given)]:
            try:
                runs = _runs(found)
            except UserError as error:
                if name != "all":
                    raise
                note(f"{found.given} is left out: {error}")
                continue
            _sync(found, runs)


def _runs(found: Plan) -> list[Run]:
    runs = known_runs(found)
    if runs is None:
        raise UserError(f"{found.given}: its text is not prepared here, so it is not known what is finished")
    return runs


def _sync(found: Plan, runs: Sequence[Run]) -> None:
    from mta_lab.tracking.sync import sync  # slow to import

    sweep, console, trials = found.sweep, make_console(), list[Run]()
    if sweep.search:
        from mta_lab.cli.searching import finished_trials

        trials = finished_trials(found)
    entries = (entry_of(sweep, run) for run in [*runs, *trials])

    def shown() -> LaunchSummary:
        return launch_summary(found, table_of(found, runs))

    with console.status(f"{sweep.name}: looking for what MLflow lacks"):
        done = sync(sweep.shown_as, launch_of(sweep), entries, found.records, note, shown)
    console.print(
        f"{sweep.name}: {done.finished} finished and {counted(done.failed, 'failed run')} entered into MLflow, "
        f"{counted(done.closed, 'open run')} closed",
        soft_wrap=True,
    )
