"""`report`: the table of one sweep, or an index of all that ship; printed, or written as a page or as figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from mta_lab.cli.common import dashboard_address, make_console
from mta_lab.cli.sweeping import Plan, finished_table, plan, table_of, tasks_at_hand
from mta_lab.errors import UserError, nearest
from mta_lab.sweep import shipped_sweeps
from mta_lab.worker.tasks import Task

if TYPE_CHECKING:
    from mta_lab.report import Table

FIGURES = ("pdf", "png", "svg")
FILES = ("html", *FIGURES)
"""formats that are written to files, the others are printed"""


def show(
    name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path], form: str
) -> None:
    """Print what is finished of the sweep `name`, or a line for each shipped sweep where it is 'all'; or write it."""
    from mta_lab.report import FORMATS, render, render_index

    allowed = (*FORMATS, *FILES)
    if form not in allowed:
        raise UserError(f"--format: got '{form}'{nearest(form, allowed) or ';'} allowed: {', '.join(allowed)}")
    names = shipped_sweeps() if name == "all" else [name]
    plans = [plan(each, settings, scale, seeds, components) for each in names]
    tables = [table_of(each, _tasks(each)) for each in plans] if name == "all" else [finished_table(plans[0])]
    console = make_console()
    if form in FIGURES:
        _write_figures(tables, form, console)
    elif form == "html":
        from mta_lab.report.files import write_index, write_page

        for each, table in zip(plans, tables, strict=True):
            file = write_page(table, each.command, dashboard_address())
            console.print(f"{file} is written", soft_wrap=True)
        if name == "all":
            console.print(f"{write_index(tables)} is written; open it in a browser", soft_wrap=True)
    elif name == "all":
        render_index(tables, form, console)
    else:
        render(tables[0], form, console)


def _write_figures(tables: Sequence["Table"], form: str, console: Console) -> None:
    from mta_lab.report.files import write_figures

    for table in tables:
        files = write_figures(table, form)
        for file in files:
            console.print(f"{file} is written", soft_wrap=True)
        if not files:
            console.print(f"{table.sweep.name}: nothing to draw yet")


def _tasks(found: Plan) -> list[Task]:
    """The sweep's tasks; none where its text is not prepared or too short: nothing that reads it is finished then."""
    try:
        return tasks_at_hand(found) or []
    except UserError:
        return []
