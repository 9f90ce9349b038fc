"""`mta-lab results`: list finished results, merge others, pack them, mark and fill in tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from mta_lab import lab
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, SweepName, conditions
from mta_lab.cli.terminal import Terminal, make_console
from mta_lab.results import exchange
from mta_lab.words import counted

app = typer.Typer(help="Results that were measured here, or elsewhere.", no_args_is_help=True)


@app.command("list")
def show(components: Components = None) -> None:
    """List what is finished here, and the room that it takes.

    The lists are by scale, text and engine, and by sweep.
    """
    display = Terminal()
    records, console = lab.finished.records_here(components or [], display), display.console
    found = exchange.finished_groups(records)
    table = RichTable(title=f"finished runs in {records.directory}", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("scale", "task", "text"):
        table.add_column(column, overflow="fold")
    for column in ("engine", "runs", "settings"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("from", "to"):
        table.add_column(column, no_wrap=True)
    for group in found:
        engine = "unknown" if group.engine is None else str(group.engine)
        numbers = f"{group.runs:,}", f"{group.configurations:,}"
        table.add_row(group.scale, group.task, group.text[:16] or "-", engine, *numbers, *group.days)
    console.print(table if found else f"nothing is finished in {records.directory}")
    for line in lab.finished.by_sweep(records, sorted({group.scale for group in found}), display):
        console.print(line, soft_wrap=True)
    for kind, (files, size) in exchange.sizes(records).items():
        if files:
            console.print(f"{kind}: {counted(files, 'file')}, {size / 1e6:,.1f} MB")


@app.command()
def merge(
    other: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="another results directory")],
    replace: Annotated[
        bool, typer.Option("--replace", help="where a run or a search differs here, take the other directory's")
    ] = False,
    failures: Annotated[bool, typer.Option("--failures", help="take failed runs in, too")] = False,
    weights: Annotated[bool, typer.Option("--weights", help="take the models' weights in, too")] = False,
) -> None:
    """Take the finished runs of another directory in.

    Takes searches, too. A result that differs here is kept and listed.
    """
    display = Terminal()
    records, console = lab.plan.open_records(display), display.console
    done = exchange.merge(records, other, replace=replace, failures=failures, weights=weights)
    changed = "".join(
        f", {len(names)} {how}" for how, names in (("replaced", done.replaced), ("joined", done.joined)) if names
    )
    console.print(f"{records.directory}: {counted(len(done.added), 'file')} added{changed}, {len(done.same)} the same")
    if done.unreadable:
        console.print(f"left out, as they cannot be read: {exchange.listed(done.unreadable)}", soft_wrap=True)
    kept = _kept("the same run with another result in both", done.conflicts, console)
    if taken := lab.packing.merge_searches(records, other, display.say, replace=replace):
        for what, names in (("added", taken.added), ("replaced", taken.replaced)):
            if names:
                console.print(f"searches {what}: {exchange.listed(names)}", soft_wrap=True)
        kept |= _kept("the same search with other trials in both", taken.conflicts, console)
    raise typer.Exit(kept)


def _kept(same: str, conflicts: Sequence[str], console: Console) -> bool:
    """Say what stands in both with other content and is kept, if anything does; return whether."""
    if conflicts:
        said = f"{same}, and kept as it is here: {exchange.listed(conflicts)}; --replace takes the other's"
        console.print(said, soft_wrap=True)
    return bool(conflicts)


@app.command()
def export(
    name: SweepName,
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="where the runs are written, one small file each")],
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    components: Components = None,
) -> None:
    """Write a sweep's finished runs as files to commit.

    `results merge` takes the folder in elsewhere.
    """
    display = Terminal()
    plan = lab.plans.plan(name, conditions(settings, scale, seeds, components), display)
    done = lab.packing.export(plan, output)
    console = display.console
    console.print(
        f"{output}: {counted(len(done.added), 'run')} written, {len(done.same)} there already", soft_wrap=True
    )


@app.command()
def archive(
    name: SweepName,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    components: Components = None,
    weights: Annotated[bool, typer.Option("--weights", help="with the models' weights")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="default: NAME-SCALE.tar.gz, here")] = None,
) -> None:
    """Pack a sweep's finished runs, its page and its table.

    The tar.gz holds all that a report elsewhere needs.
    """
    display = Terminal()
    plan = lab.plans.plan(name, conditions(settings, scale, seeds, components), display)
    target, runs, files = lab.packing.pack(plan, output, weights=weights)
    written = f"{target} is written: {counted(runs, 'run')} in {counted(files, 'file')}"
    display.console.print(written, soft_wrap=True)


@app.command()
def mark(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="tables as `report --format json` prints them")
    ],
) -> None:
    """Mark written tables that are stale, and their Markdown.

    A table is stale if its sweep would compute something else now.
    """
    console = make_console()
    for file, changed in lab.marking.mark(files).items():
        told = f"stale: {'; '.join(changed)}" if changed else "as it would be today"
        console.print(f"{file}: {told}", soft_wrap=True)


@app.command()
def fill(
    pages: Annotated[list[Path], typer.Argument(metavar="PAGE...", help="Markdown with blocks of results")],
) -> None:
    """Fill the blocks of Markdown pages with written tables.

    A block begins with <!-- results: TABLE.json -->.
    """
    for page in pages:
        make_console().print(f"{page}: {'filled anew' if lab.marking.filled(page) else 'as it was'}", soft_wrap=True)
