"""Ask a launch that goes on in another process to stop runs, or to train more seeds."""

from mta_lab.errors import UserError
from mta_lab.lab.live import launch_news
from mta_lab.lab.plan import Plan
from mta_lab.lab.texts import known_runs
from mta_lab.launch.guards import launch_runs
from mta_lab.launch.requests import ask_for_seeds, ask_to_stop
from mta_lab.planning.runs import with_parents
from mta_lab.workspace import again


def stop(plan: Plan, row: str, seed: int | None) -> list[str]:
    """Ask the launch that runs here to stop the unfinished runs of a row, or the one of a seed.

    Return their names. Each is kept where it is, within a second or after its step; the next launch
    goes on with it.

    Raises:
        UserError: no launch runs here, or no such run is left to be stopped.
    """
    name, directory = plan.sweep.staged.row(row).name, plan.records.directory
    _refuse_idle(plan)
    runs = [run for run in with_parents(known_runs(plan) or ()) if run.row == name and seed in (None, run.seed)]
    left = [run for run in runs if not plan.records.has_finished(run.fingerprint)]
    if not left:
        seeds = "" if seed is None else f" under seed {seed}"
        shown = again(f"mta-lab status {plan.given}")
        raise UserError(f"{plan.given}: row '{name}' has no unfinished run{seeds}; `{shown}` shows what runs")
    for run in left:
        ask_to_stop(directory, run.fingerprint)
    return [run.label for run in left]


def extend(plan: Plan) -> None:
    """Ask the launch of a plan's sweep that runs here to train as many seeds as the plan has.

    It goes on with them once it has trained what it began with.

    Raises:
        UserError: no launch runs here, or one of another sweep does.
    """
    _refuse_idle(plan)
    status = launch_news(plan.records.directory, plan.display.note)
    if status and (status.sweep, status.scale) != (plan.sweep.name, plan.sweep.conditions):
        runs = f"the launch here is of {status.sweep} ({status.scale})"
        raise UserError(f"{plan.given}: {runs}, and not of {plan.sweep.name} ({plan.sweep.conditions})")
    ask_for_seeds(plan.records.directory, plan.sweep.shown_as, len(plan.sweep.seeds))


def _refuse_idle(plan: Plan) -> None:
    if not launch_runs(plan.records.directory):
        raise UserError(f"{plan.records.directory}: no launch runs here; `{again(plan.command)}` starts one")
