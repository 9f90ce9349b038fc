"""`mta-lab status`: what a launch in this directory is doing, read from its file and the records.

The launch itself is not asked.
"""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as RichTable

from mta_lab import lab
from mta_lab.cli import completion
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Seeds, Settings, conditions
from mta_lab.cli.terminal import Terminal, note
from mta_lab.launch.guards import is_held, launch_runs
from mta_lab.results.records import run_files
from mta_lab.words import counted
from mta_lab.workspace import CORPORA, RESULTS, again

if TYPE_CHECKING:
    from mta_lab.lab.standing import Rows, Standing
    from mta_lab.launch.status_file import Busy, LaunchStatus

STATES = ("finished", "running", "failed", "stale", "pending")
STALE = "stale: finished with code or text that has changed since; the sweep's --rerun-stale trains it again"
REDRAW, LINE = 1.0, 5.0  # seconds between two looks of --watch: in a terminal, and for a line in a log


def status(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]", help="a sweep; default: the launch that runs here", autocompletion=completion.sweeps
        ),
    ] = None,
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    watch: Annotated[bool, typer.Option("--watch", help="show it again and again until the launch ends")] = False,
    components: Components = None,
) -> None:
    """Show what a launch here does and how far a sweep is.

    Use it in another terminal while a sweep is trained.
    """
    directory, display, said = RESULTS, Terminal(), set[str]()

    def tell() -> "LaunchStatus | None":
        return lab.live.launch_news(directory, lambda line: _once(line, said))

    def page() -> Group:
        return _page(directory, asked, tell(), runs=launch_runs(directory))

    plan = lab.plans.plan(name, conditions(settings, scale, seeds, components), display) if name else None
    asked = lab.standing.Standing(plan) if plan else None
    if not watch:
        display.console.print(page())
    elif display.console.is_terminal:
        with Live(page(), console=display.console, auto_refresh=False) as live:
            while launch_runs(directory):
                time.sleep(REDRAW)
                live.update(page(), refresh=True)
    else:
        _print_lines(display.console, tell, lambda: launch_runs(directory))
        display.console.print(page())


def _once(line: str, said: set[str]) -> None:
    if line not in said:
        note(line)
    said.add(line)


def _print_lines(console: Console, tell: "Callable[[], LaunchStatus | None]", runs: Callable[[], bool]) -> None:
    """Print a line whenever the launch's file has changed, until the launch ends."""
    before = None
    while runs():
        status = tell()
        if status and status != before:
            console.print("; ".join([_progress(status), *map(_worker_line, status.workers)]), soft_wrap=True)
            before = status
        time.sleep(LINE)


def _worker_line(busy: "Busy") -> str:
    loss = "" if busy.loss is None else f" loss {busy.loss:.3f}"
    host = f" on {busy.host}" if busy.host else ""
    return f"worker {busy.worker}{host}: {busy.label} step {busy.step}/{busy.steps}{loss}"


def _progress(status: "LaunchStatus") -> str:
    ended = ", ".join(f"{count} {how}" for how, count in status.ended.items()) or "none ended yet"
    return ", ".join(filter(None, [f"{status.sweep} ({status.scale}): {ended}", status.left]))


def _page(directory: Path, asked: "Standing | None", status: "LaunchStatus | None", *, runs: bool) -> Group:
    """Return the launch that runs, its workers, the runs by row, and what to type."""
    running = status if runs else None
    rows = asked.rows(running) if asked else running.rows if running else {}
    parts: list[str | RichTable] = [_headline(directory, runs, status, asked, rows)]
    if running and running.workers:
        parts.append(_workers(running))
    if rows:
        parts.append(_runs(rows))
        if any(row.get("stale") for row in rows.values()):
            parts.append(STALE)
    parts += asked.elsewhere if asked else []
    return Group(*parts)


def _headline(
    directory: Path, runs: bool, status: "LaunchStatus | None", asked: "Standing | None", rows: "Rows"
) -> str:
    if runs and status:
        return f"{_progress(status)}; process {status.process}, since {_clock(status.since)}"
    if prepared := [lock.parent for lock in sorted(CORPORA.glob("*/.lock")) if is_held(lock)]:
        return f"preparing the text in {prepared[0]}; runs start after it"
    if runs:
        return f"{directory}: a launch is starting or ending"
    if status:
        told = f"the launch of {status.sweep} ({status.scale}, process {status.process}) is gone: it was killed"
        return f"{told}. The same command goes on from what is kept: {again(status.command)}"
    return f"nothing runs here; {asked.outcome(rows) if asked else _kept(directory)}"


def _kept(directory: Path) -> str:
    finished, failed = len(run_files(directory)), len(list((directory / "failed").glob("*.json")))
    runs = f"{finished} finished and {counted(failed, 'failed run')} in {directory}"
    return f"{runs}. One sweep: {again('mta-lab status NAME')}. To train: {again('mta-lab sweep NAME')}"


def _workers(status: "LaunchStatus") -> RichTable:
    table = RichTable(title="workers")
    for column in ("worker", "host", "device", "run", "step", "since", "loss"):
        table.add_column(column, justify="left" if column in ("host", "device", "run") else "right")
    for busy in status.workers:
        loss = "-" if busy.loss is None else f"{busy.loss:.3f}"
        where, step = (busy.host or "-", busy.device or "-"), f"{busy.step}/{busy.steps}"
        table.add_row(str(busy.worker), *where, busy.label, step, _clock(busy.since), loss)
    return table


def _runs(rows: "Rows") -> RichTable:
    table = RichTable(title="runs", show_footer=True)
    totals = {state: sum(row.get(state, 0) for row in rows.values()) for state in STATES}
    table.add_column("row", footer="all")
    for state in STATES:
        table.add_column(state, justify="right", footer=str(totals[state]))
    for name, row in rows.items():
        table.add_row(name, *(str(row.get(state, 0) or "-") for state in STATES))
    return table


def _clock(seconds: float) -> str:
    """Local time of day, like 14:03:59."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")
