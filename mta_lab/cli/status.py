"""`status`: what a launch in this directory does, as its file and the records tell; the launch is not asked."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as RichTable

from mta_lab.cli.common import launch_news, make_console
from mta_lab.records import Records
from mta_lab.words import counted
from mta_lab.worker.beacon import Busy, News
from mta_lab.worker.guards import launch_runs

STATES = ("finished", "running", "failed", "stale", "pending")
REDRAW, LINE = 1.0, 5.0  # seconds between two looks of --watch: in a terminal, and for a line in a log
Rows = Mapping[str, Mapping[str, int]]


def show(
    name: str | None, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path], *, watch: bool
) -> None:
    """Print it once, or until the launch ends."""
    directory, console = Records().directory, make_console()
    tell = partial(launch_news, directory, set())
    asked = _Asked(name, settings, scale, seeds, components) if name else None
    if not watch:
        console.print(_page(directory, asked, tell()))
    elif console.is_terminal:
        with Live(_page(directory, asked, tell()), console=console, auto_refresh=False) as live:
            while launch_runs(directory):
                time.sleep(REDRAW)
                live.update(_page(directory, asked, tell()), refresh=True)
    else:
        _print_lines(directory, console, tell)
        console.print(_page(directory, asked, tell()))


def _print_lines(directory: Path, console: Console, tell: Callable[[], News | None]) -> None:
    """A line whenever the launch's file has changed, until the launch ends."""
    before = None
    while launch_runs(directory):
        news = tell()
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


def _page(directory: Path, asked: "_Asked | None", news: News | None) -> Group:
    """Return the launch that runs, its workers, the cells by row, and what to type."""
    runs = launch_runs(directory)
    running = news if runs else None
    rows = asked.rows(running) if asked else running.rows if running else {}
    parts: list[str | RichTable] = [_headline(directory, runs, news, asked, rows)]
    if running and running.workers:
        parts.append(_workers(running))
    if rows:
        parts.append(_cells(rows))
    parts += asked.elsewhere if asked else []
    return Group(*parts)


def _headline(directory: Path, runs: bool, news: News | None, asked: "_Asked | None", rows: Rows) -> str:
    if runs and news:
        return f"{_progress(news)}; process {news.process}, since {_clock(news.since)}"
    if runs:
        return f"{directory}: a launch is starting or ending"
    if news:
        told = f"the launch of {news.sweep} ({news.scale}, process {news.process}) is gone: it was killed"
        return f"{told}. The same command goes on from what is kept: {news.command}"
    return f"nothing runs here; {asked.outcome(rows) if asked else _kept(directory)}"


def _kept(directory: Path) -> str:
    finished, failed = (len(list((directory / kind).glob("*.json"))) for kind in ("cells", "failed"))
    cells = f"{finished} finished and {counted(failed, 'failed cell')} in {directory}"
    return f"{cells}. One sweep: mta-lab status NAME. To train: mta-lab sweep NAME"


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


class _Asked:
    """The sweep that was asked for: its cells by row, and what to type next."""

    def __init__(
        self, name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path]
    ) -> None:
        from mta_lab.cli.elsewhere import elsewhere
        from mta_lab.cli.sweeping import plan, tasks_at_hand

        self._plan = plan(name, settings, scale, seeds, components)
        self._tasks = tasks_at_hand(self._plan)
        for task in self._tasks or ():
            self._plan.records.usable(task.fingerprint)  # says which records cannot be used
        self.elsewhere = elsewhere(self._plan)
        """what is finished under other conditions, and the command that shows it"""

    def rows(self, news: News | None) -> Rows:
        """Return how many cells of each row are in each state; those that the launch trains now are running."""
        from mta_lab.worker.tasks import states

        sweep = self._plan.sweep
        if self._tasks is None:  # its text is not prepared: nothing is finished
            return {row.name: {"pending": len(sweep.seeds)} for row in sweep.rows}
        rows: dict[str, Counter[str]] = {row.name: Counter() for row in sweep.rows}
        running = {busy.fingerprint for busy in news.workers} if news else set()
        became = states(self._tasks, self._plan.records)
        for task in self._tasks:
            state = became[task.fingerprint]
            rows[task.cell.row]["running" if task.fingerprint in running and state != "finished" else state] += 1
        return rows

    def outcome(self, rows: Rows) -> str:
        """Return how far the sweep is, and what to type next, while no launch runs."""
        sweep, totals = self._plan.sweep, sum((Counter(row) for row in rows.values()), Counter[str]())
        name, cells = f"{sweep.name} ({sweep.conditions})", counted(totals.total(), "cell")
        trials = self._trials_left()
        if totals["finished"] == totals.total() and not trials:
            return f"{name}: finished, {cells}. To see its table: {self._plan.report}"
        kinds = {
            f"To train what is missing: {self._plan.command}": trials + totals["pending"],
            f"To try again what failed: {self._plan.retry}": totals["failed"],
            f"To train again what is stale: {self._plan.command} --rerun-stale": totals["stale"],
        }
        said = ". ".join(line for line, needed in kinds.items() if needed)
        search = f", {counted(trials, 'trial')} of its search left" if trials else ""
        return f"{name}: {totals['finished']} of {cells} finished{search}. {said}"

    def _trials_left(self) -> int:
        if self._plan.sweep.search is None:
            return 0
        from mta_lab.cli.searching import trials_left

        return trials_left(self._plan).total()


def _clock(seconds: float) -> str:
    """Local time of day, like 14:03:59."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")
