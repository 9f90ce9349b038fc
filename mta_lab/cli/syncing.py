"""`sync`: what MLflow lacks of the records is entered."""

from collections.abc import Sequence
from pathlib import Path

from mta_lab.cli.common import make_console, note
from mta_lab.cli.own_sweeps import every_plan
from mta_lab.cli.sweeping import Plan, plan, shown_of, table_of, tasks_at_hand
from mta_lab.errors import UserError
from mta_lab.records import Records
from mta_lab.tracking.entries import Shown
from mta_lab.words import counted
from mta_lab.worker.entries import entry_of, launch_of
from mta_lab.worker.guards import only_launch
from mta_lab.worker.tasks import Task


def run(name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path]) -> None:
    """Bring the experiment of the sweep `name`, of `train` or of every sweep up to the records."""
    with only_launch(Records().directory):  # a launch does it by itself, and closes its runs itself
        if name == "train":
            from mta_lab.cli.single import one_run

            one = one_run(settings, scale, components)
            _sync(one, _tasks(one))
            return
        given = settings, scale, seeds, components
        for found in every_plan(*given) if name == "all" else [plan(name, *given)]:
            try:
                tasks = _tasks(found)
            except UserError as error:
                if name != "all":
                    raise
                note(f"{found.given} is left out: {error}")
                continue
            _sync(found, tasks)


def _tasks(found: Plan) -> list[Task]:
    tasks = tasks_at_hand(found)
    if tasks is None:
        raise UserError(f"{found.given}: its text is not prepared here, so it is not known what is finished")
    return tasks


def _sync(found: Plan, tasks: Sequence[Task]) -> None:
    from mta_lab.tracking.sync import sync  # slow to import

    sweep, console, trials = found.sweep, make_console(), list[Task]()
    if sweep.search:
        from mta_lab.cli.searching import trials_at_hand

        trials = trials_at_hand(found)
    entries = (entry_of(sweep, task) for task in [*tasks, *trials])

    def shown() -> Shown:
        return shown_of(found, table_of(found, tasks))

    with console.status(f"{sweep.name}: looking for what MLflow lacks"):
        done = sync(sweep.shown_as, launch_of(sweep), entries, found.records, note, shown)
    console.print(
        f"{sweep.name}: {done.finished} finished and {counted(done.failed, 'failed cell')} entered into MLflow, "
        f"{counted(done.closed, 'open run')} closed",
        soft_wrap=True,
    )
