"""`report`: the table of one sweep, or an index of all that ship."""

from collections.abc import Sequence
from pathlib import Path

from mta_lab.cli.common import make_console
from mta_lab.cli.sweeping import finished_table, plan, table_of, tasks_at_hand
from mta_lab.errors import UserError, nearest
from mta_lab.sweep import shipped_sweeps


def show(
    name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path], form: str
) -> None:
    """Print what is finished of the sweep `name`, or a line for each shipped sweep where it is 'all'."""
    from mta_lab.report import FORMATS, render, render_index

    if form not in FORMATS:
        raise UserError(f"--format: got '{form}'{nearest(form, FORMATS) or ';'} allowed: {', '.join(FORMATS)}")
    names = shipped_sweeps() if name == "all" else [name]
    plans = [plan(each, settings, scale, seeds, components) for each in names]
    if name == "all":  # where a text is not prepared, nothing that reads it is finished
        render_index([table_of(each, tasks_at_hand(each) or []) for each in plans], form, make_console())
    else:
        render(finished_table(plans[0]), form, make_console())
