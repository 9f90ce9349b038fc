"""`status`: what a launch in this directory does, as its file and the records tell; the launch is not asked."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

from mta_lab.cli.common import make_console
from mta_lab.records import Records
from mta_lab.worker.beacon import Busy, News, news_of
from mta_lab.worker.guards import launch_runs

STATES = ("finished", "running", "failed", "stale", "pending")
REDRAW, LINE = 1.0, 5.0  # seconds between two looks of --watch: in a terminal, and for a line in a log
Rows = Mapping[str, Mapping[str, int]]


def show(
    name: str | None, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path], *, watch: bool
) -> None:
    """Print it once, or until the launch ends."""
    directory, console = Records().directory, make_console()
    command, count = _of_sweep(name, settings, scale, seeds, components) if name else ("", _rows_of_launch)
    if not watch:
        console.print(_page(directory, command, count))
    elif console.is_terminal:
        with Live(_page(directory, command, count), console=console, auto_refresh=False) as live:
            while launch_runs(directory):
                time.sleep(REDRAW)
                live.update(_page(directory, command, count), refresh=True)
    else:
        _print_lines(directory, console)
        console.print(_page(directory, command, count))


def _print_lines(directory: Path, console: Console) -> None:
    """A line whenever the launch's file has changed, until the launch ends."""
    before = None
    while launch_runs(directory):
        news = news_of(directory)
        if news and news != before:
            console.print("; ".join([_progress(news), *map(_worker_line, news.workers)]), soft_wrap=True)
            before = news
        time.sleep(LINE)


def _worker_line(busy: Busy) -> str:
    loss = "" if busy.loss is None else f" loss {busy.loss:.3f}"
    return f"worker {busy.worker}: {busy.label} step {busy.step}/{busy.steps}{loss}"


def _progress(news: News) -> str:
    ended = ", ".join(f"{count} {how}" for how, count in news.ended.items()) or "none ended yet"
    return ", ".join(filter(None, [f"{news.sweep} ({news.scale}): {ended}", news.left]))


def _page(directory: Path, command: str, count: Callable[[News | None], Rows]) -> Group:
    """Who runs, its workers, the cells by row, and what to type."""
    runs, news = launch_runs(directory), news_of(directory)
    parts: list[Text | RichTable] = [Text(line) for line in _headline(directory, runs, news, command)]
    if runs and news and news.workers:
        parts.append(_workers(news))
    rows = count(news if runs else None)
    if rows:
        parts.append(_cells(rows))
    return Group(*parts)


def _headline(directory: Path, runs: bool, news: News | None, command: str) -> list[str]:
    if runs and news:
        since = f"process {news.process}, since {_clock(news.since)}"
        return [f"{_progress(news)}; {since}"]
    if runs:
        return [f"{directory}: a launch is starting or ending"]
    again = command or (news.command if news else "mta-lab sweep NAME")
    if news:
        told = f"the launch of {news.sweep} ({news.scale}, process {news.process}) is gone: it was killed"
        return [f"{told}. The same command goes on from what is kept: {again}"]
    kept = [len(list((directory / kind).glob("*.json"))) for kind in ("cells", "failed")]
    cells = f"{kept[0]} finished and {kept[1]} failed cells in {directory}"
    more = "" if command else "; of one sweep: mta-lab status NAME"
    return [f"nothing runs here; {cells}. To train what is missing: {again}{more}"]


def _workers(news: News) -> RichTable:
    table = RichTable(title="workers")
    for column in ("worker", "cell", "step", "since", "loss"):
        table.add_column(column, justify="left" if column == "cell" else "right")
    for busy in news.workers:
        loss = "-" if busy.loss is None else f"{busy.loss:.3f}"
        table.add_row(str(busy.worker), busy.label, f"{busy.step}/{busy.steps}", _clock(busy.since), loss)
    return table


def _cells(rows: Rows) -> RichTable:
    table = RichTable(title="cells", show_footer=True)
    totals = {state: sum(row.get(state, 0) for row in rows.values()) for state in STATES}
    table.add_column("row", footer="all")
    for state in STATES:
        table.add_column(state, justify="right", footer=str(totals[state]))
    for name, row in rows.items():
        table.add_row(name, *(str(row.get(state, 0) or "-") for state in STATES))
    return table


def _rows_of_launch(news: News | None) -> Rows:
    return news.rows if news else {}


def _of_sweep(
    name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path]
) -> tuple[str, Callable[[News | None], Rows]]:
    """What trains a sweep; and what counts its cells by row, from the records: those that the launch is at run."""
    from mta_lab.cli.sweeping import plan, tasks_at_hand
    from mta_lab.worker.tasks import states

    found = plan(name, settings, scale, seeds, components)
    tasks = tasks_at_hand(found)

    def count(news: News | None) -> Rows:
        rows: dict[str, Counter[str]] = {row.name: Counter() for row in found.sweep.rows}
        if tasks is None:  # its text is not prepared: nothing is finished
            return {row: {"pending": len(found.sweep.seeds)} for row in rows}
        running = {busy.fingerprint for busy in news.workers} if news else set()
        became = states(tasks, found.records)
        for task in tasks:
            state = became[task.fingerprint]
            rows[task.cell.row]["running" if task.fingerprint in running and state != "finished" else state] += 1
        return rows

    return found.command, count


def _clock(seconds: float) -> str:
    """Local time of day, like 14:03:59."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")
