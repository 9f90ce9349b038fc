"""`report`: the table of one sweep, or an index of all; printed, or written as a page or as figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from mta_lab.cli.common import dashboard_address, make_console, note
from mta_lab.cli.elsewhere import elsewhere
from mta_lab.cli.own_sweeps import every_plan, remember
from mta_lab.cli.sweeping import Plan, finished_table, known_runs, plan, table_of
from mta_lab.errors import UserError, nearest
from mta_lab.planning.runs import Run

if TYPE_CHECKING:
    from mta_lab.report import Table

FIGURES = ("pdf", "png", "svg")
FILES = ("html", *FIGURES)
"""formats that are written to files, the others are printed"""


def show(
    name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path], form: str
) -> None:
    """Print what is finished of the sweep `name`, or a line for each sweep where it is 'all'; or write it."""
    from mta_lab.report import FORMATS, render, render_index

    allowed = (*FORMATS, *FILES)
    if form not in allowed:
        raise UserError(f"--format: got '{form}'{nearest(form, allowed) or ';'} allowed: {', '.join(allowed)}")
    if name == "all":
        plans = every_plan(settings, scale, seeds, components)
        tables = [table_of(each, _runs(each)) for each in plans]
    else:
        plans = [plan(name, settings, scale, seeds, components)]
        for line in elsewhere(plans[0]):  # first: they may be all there is
            note(f"{name}: {line}")
        tables = [finished_table(plans[0])]
        remember(name, plans[0].records)
    console = make_console()
    if form in FIGURES:
        _write_figures(tables, form, console)
    elif form == "html":
        from mta_lab.report.files import write_index, write_page

        index = write_index(tables) if name == "all" else None  # first: pages link to it where it is there
        for each, table in zip(plans, tables, strict=True):
            file = write_page(table, each.command, dashboard_address(), index)
            console.print(f"{file} is written", soft_wrap=True)
        if index:
            console.print(f"{index} is written; open it in a browser", soft_wrap=True)
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


def _runs(found: Plan) -> list[Run]:
    """The sweep's runs; none where its text is not prepared or too short: nothing that reads it is finished then."""
    try:
        return known_runs(found) or []
    except UserError:
        return []
