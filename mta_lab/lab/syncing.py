"""MLflow brought up to the records: finished and failed runs are entered, open ones that nobody trains are closed."""

from collections.abc import Sequence

from mta_lab.errors import UserError
from mta_lab.lab.plan import Plan
from mta_lab.lab.searches import finished_trials
from mta_lab.lab.tables import launch_summary, table_of
from mta_lab.lab.texts import known_runs
from mta_lab.launch.tracked import entry_of, launch_of
from mta_lab.planning.runs import Run
from mta_lab.tracking.sync import Synced, sync


def runs_to_sync(plan: Plan) -> list[Run]:
    """Return the plan's runs. Raises UserError where its text is not prepared and no record names it."""
    runs = known_runs(plan)
    if runs is None:
        raise UserError(f"{plan.given}: its text is not prepared here, so it is not known what is finished")
    return runs


def sync_plan(plan: Plan, runs: Sequence[Run]) -> Synced:
    """Enter what MLflow lacks of the runs, and of the trials of the plan's search. No launch may run meanwhile."""
    sweep = plan.sweep
    entries = (entry_of(sweep, run) for run in [*runs, *finished_trials(plan)])
    return sync(
        sweep.shown_as,
        launch_of(sweep),
        entries,
        plan.records,
        plan.display.note,
        lambda: launch_summary(plan, table_of(plan, runs)),
    )
