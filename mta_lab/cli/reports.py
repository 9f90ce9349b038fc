"""`report`: the table of one sweep, or an index of all that ship."""

from collections.abc import Sequence
from pathlib import Path

from mta_lab.cli.common import make_console
from mta_lab.cli.sweeping import Plan, finished_table, plan, table_of, tasks_at_hand
from mta_lab.errors import UserError, nearest
from mta_lab.sweep import shipped_sweeps
from mta_lab.worker.tasks import Task


def show(
    name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path], form: str
) -> None:
    """Print what is finished of the sweep `name`, or a line for each shipped sweep where it is 'all'."""
    from mta_lab.report import FORMATS, render, render_index

    if form not in FORMATS:
        raise UserError(f"--format: got '{form}'{nearest(form, FORMATS) or ';'} allowed: {', '.join(FORMATS)}")
    names = shipped_sweeps() if name == "all" else [name]
    plans = [plan(each, settings, scale, seeds, components) for each in names]
    if name == "all":
        render_index([table_of(each, _tasks(each)) for each in plans], form, make_console())
    else:
        render(finished_table(plans[0]), form, make_console())


def _tasks(found: Plan) -> list[Task]:
    """The sweep's tasks; none where its text is not prepared or too short: nothing that reads it is finished then."""
    try:
        return tasks_at_hand(found) or []
    except UserError:
        return []
