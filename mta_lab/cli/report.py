"""`mta-lab report`: the table of one sweep or an index of all: printed, or written as pages."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mta_lab import lab
from mta_lab.cli import completion
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, conditions, row_and_settings
from mta_lab.cli.terminal import Terminal
from mta_lab.errors import UserError, nearest
from mta_lab.lab.conditions import Conditions

if TYPE_CHECKING:
    from mta_lab.lab.plan import Plan
    from mta_lab.planning.runs import Run
    from mta_lab.report import Table

FIGURES = ("pdf", "png", "svg")
"""formats that are written to files, the others are printed"""


def report(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE|all",
            help="a sweep, or all of them in an index",
            autocompletion=completion.sweeps_or_all,
        ),
    ],
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="printed: rich, markdown, latex, csv, json; written to files: html, pdf, png, svg",
            autocompletion=completion.formats,
        ),
    ] = "rich",
    html: Annotated[bool, typer.Option("--html", help="short for --format html: a page in results/pages")] = False,
    effect: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="say with which power the table sees this effect; default: 2%"),
    ] = None,
    stages: Annotated[
        bool, typer.Option("--stages", help="show each stage of a row, and what the first one starts from")
    ] = False,
    components: Components = None,
) -> None:
    """Print a sweep's table, or write it as a page or figures.

    Shows what is finished and trains nothing.
    """
    if html and form not in ("rich", "html"):
        raise UserError(f"--html: means --format html, but --format {form} is given, too; give one of them")
    form, allowed = "html" if html else form, completion.FORMATS
    if form not in allowed:
        raise UserError(f"--format: got '{form}'{nearest(form, allowed) or ';'} allowed: {', '.join(allowed)}")
    display, under = Terminal(), conditions(settings, scale, seeds, components)
    size = lab.tables.effect_of(effect)
    if stages and name == "all":
        raise UserError("--stages: shows the stages of one sweep; name it in place of all")
    plans, tables = _all(under, size, display) if name == "all" else _one(name, under, size, display, stages)
    if form in FIGURES:
        _write_figures(tables, form, display.console)
    elif form == "html":
        _write_pages(plans, tables, display.console, index=name == "all")
    elif name == "all":
        lab.printing.print_index(tables, form, display.console)
    else:
        lab.printing.print_table(tables[0], form, display.console)


def _all(under: Conditions, effect: float, display: Terminal) -> "tuple[list[Plan], list[Table]]":
    """Return every sweep that is known here, and its table.

    Words without '=' are files of the user's.
    """
    files = [word for word in under.settings if "=" not in word]
    settings = row_and_settings(under.settings)[1]
    plans = lab.plans.every_plan(files, replace(under, settings=settings), display)
    return plans, [lab.tables.table_of(each, _runs(each), effect) for each in plans]


def _one(
    name: str, under: Conditions, effect: float, display: Terminal, stages: bool
) -> "tuple[list[Plan], list[Table]]":
    plan = lab.plans.plan(name, under, display)
    plan = lab.plans.every_stage(plan) if stages else plan
    for line in lab.elsewhere.elsewhere(plan):  # first: they may be all there is
        display.note(f"{name}: {line}")
    table = lab.tables.finished_table(plan, effect)
    lab.own_sweeps.remember(name, plan.records, display)
    return [plan], [table]


def _write_pages(plans: "Sequence[Plan]", tables: "Sequence[Table]", console: Console, *, index: bool) -> None:
    over = lab.files.write_index(tables) if index else None  # first: pages link to it where it is there
    for file in lab.files.write_pages(plans, tables, over):
        console.print(f"{file} is written", soft_wrap=True)
    if over:
        console.print(f"{over} is written; open it in a browser", soft_wrap=True)


def _write_figures(tables: "Sequence[Table]", form: str, console: Console) -> None:
    for table in tables:
        files = lab.files.write_figures(table, form)
        for file in files:
            console.print(f"{file} is written", soft_wrap=True)
        if not files:
            console.print(f"{table.sweep.name}: nothing to draw yet")


def _runs(plan: "Plan") -> "list[Run]":
    """Return the sweep's runs; none where its text is missing or too short.

    Nothing that reads such a text is finished.
    """
    try:
        return lab.texts.known_runs(plan) or []
    except UserError:
        return []
