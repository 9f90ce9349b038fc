"""Bring MLflow up to the records: enter ended runs, close runs that nobody trains."""

from collections.abc import Sequence
from itertools import chain

from mta_lab.errors import UserError
from mta_lab.lab.plan import Plan
from mta_lab.lab.searches import finished_trials
from mta_lab.lab.tables import launch_summary, table_of
from mta_lab.lab.texts import known_runs
from mta_lab.lab.tuning import tuning_runs
from mta_lab.launch.tracked import entry_of, launch_of
from mta_lab.planning.runs import Run, with_parents
from mta_lab.tracking.sync import Synced, sync
from mta_lab.workspace import again


def runs_to_sync(plan: Plan) -> list[Run]:
    """Return the plan's runs.

    Raises:
        UserError: its text is not prepared, and no record names it.
    """
    runs = known_runs(plan)
    if runs is None:
        raise UserError(
            f"{plan.given}: its text is not prepared here, so the finished runs are not known; "
            f"`{again(plan.command)}` prepares it and trains what is missing"
        )
    return runs


def sync_plan(plan: Plan, runs: Sequence[Run]) -> Synced:
    """Enter into MLflow the runs and trials of a plan that it lacks.

    No launch may run at the same time.
    """
    sweep = plan.sweep
    entries = (
        entry_of(sweep, run)
        for run in [*with_parents(runs), *finished_trials(plan), *chain(*tuning_runs(plan).values())]
    )
    return sync(
        sweep.shown_as,
        launch_of(sweep),
        entries,
        plan.records,
        plan.display.note,
        lambda: launch_summary(plan, table_of(plan, runs)),
    )
