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
from mta_lab.launch.guards import launch_runs
from mta_lab.launch.status_file import Busy, LaunchStatus
from mta_lab.results.records import Records, run_files
from mta_lab.words import counted

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


def _print_lines(directory: Path, console: Console, tell: Callable[[], LaunchStatus | None]) -> None:
    """A line whenever the launch's file has changed, until the launch ends."""
    before = None
    while launch_runs(directory):
        status = tell()
        if status and status != before:
            console.print("; ".join([_progress(status), *map(_worker_line, status.workers)]), soft_wrap=True)
            before = status
        time.sleep(LINE)


def _worker_line(busy: Busy) -> str:
    loss = "" if busy.loss is None else f" loss {busy.loss:.3f}"
    return f"worker {busy.worker}: {busy.label} step {busy.step}/{busy.steps}{loss}"


def _progress(status: LaunchStatus) -> str:
    ended = ", ".join(f"{count} {how}" for how, count in status.ended.items()) or "none ended yet"
    return ", ".join(filter(None, [f"{status.sweep} ({status.scale}): {ended}", status.left]))


def _page(directory: Path, asked: "_Asked | None", status: LaunchStatus | None) -> Group:
    """Return the launch that runs, its workers, the runs by row, and what to type."""
    runs = launch_runs(directory)
    running = status if runs else None
    rows = asked.rows(running) if asked else running.rows if running else {}
    parts: list[str | RichTable] = [_headline(directory, runs, status, asked, rows)]
    if running and running.workers:
        parts.append(_workers(running))
    if rows:
        parts.append(_runs(rows))
    parts += asked.elsewhere if asked else []
    return Group(*parts)


def _headline(directory: Path, runs: bool, status: LaunchStatus | None, asked: "_Asked | None", rows: Rows) -> str:
    if runs and status:
        return f"{_progress(status)}; process {status.process}, since {_clock(status.since)}"
    if runs:
        return f"{directory}: a launch is starting or ending"
    if status:
        told = f"the launch of {status.sweep} ({status.scale}, process {status.process}) is gone: it was killed"
        return f"{told}. The same command goes on from what is kept: {status.command}"
    return f"nothing runs here; {asked.outcome(rows) if asked else _kept(directory)}"


def _kept(directory: Path) -> str:
    finished, failed = len(run_files(directory)), len(list((directory / "failed").glob("*.json")))
    runs = f"{finished} finished and {counted(failed, 'failed run')} in {directory}"
    return f"{runs}. One sweep: mta-lab status NAME. To train: mta-lab sweep NAME"


def _workers(status: LaunchStatus) -> RichTable:
    table = RichTable(title="workers")
    for column in ("worker", "run", "step", "since", "loss"):
        table.add_column(column, justify="left" if column == "run" else "right")
    for busy in status.workers:
        loss = "-" if busy.loss is None else f"{busy.loss:.3f}"
        table.add_row(str(busy.worker), busy.label, f"{busy.step}/{busy.steps}", _clock(busy.since), loss)
    return table


def _runs(rows: Rows) -> RichTable:
    table = RichTable(title="runs", show_footer=True)
    totals = {state: sum(row.get(state, 0) for row in rows.values()) for state in STATES}
    table.add_column("row", footer="all")
    for state in STATES:
        table.add_column(state, justify="right", footer=str(totals[state]))
    for name, row in rows.items():
        table.add_row(name, *(str(row.get(state, 0) or "-") for state in STATES))
    return table


class _Asked:
    """The sweep that was asked for: its runs by row, and what to type next."""

    def __init__(
        self, name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path]
    ) -> None:
        from mta_lab.cli.elsewhere import elsewhere
        from mta_lab.cli.sweeping import known_runs, plan

        self._plan = plan(name, settings, scale, seeds, components)
        self._runs = known_runs(self._plan)
        for run in self._runs or ():
            self._plan.records.usable(run.fingerprint)  # says which records cannot be used
        self.elsewhere = elsewhere(self._plan)
        """what is finished under other conditions, and the command that shows it"""

    def rows(self, status: LaunchStatus | None) -> Rows:
        """Return how many runs of each row are in each state; those that the launch trains now are running."""
        from mta_lab.planning.runs import states

        sweep = self._plan.sweep
        if self._runs is None:  # its text is not prepared: nothing is finished
            return {row.name: {"pending": len(sweep.seeds)} for row in sweep.rows}
        rows: dict[str, Counter[str]] = {row.name: Counter() for row in sweep.rows}
        running = {busy.fingerprint for busy in status.workers} if status else set()
        became = states(self._runs, self._plan.records)
        for run in self._runs:
            state = became[run.fingerprint]
            rows[run.row]["running" if run.fingerprint in running and state != "finished" else state] += 1
        return rows

    def outcome(self, rows: Rows) -> str:
        """Return how far the sweep is, and what to type next, while no launch runs."""
        sweep, totals = self._plan.sweep, sum((Counter(row) for row in rows.values()), Counter[str]())
        name, runs = f"{sweep.name} ({sweep.conditions})", counted(totals.total(), "run")
        trials = self._trials_left()
        if totals["finished"] == totals.total() and not trials:
            return f"{name}: finished, {runs}. To see its table: {self._plan.report}"
        kinds = {
            f"To train what is missing: {self._plan.command}": trials + totals["pending"],
            f"To try again what failed: {self._plan.retry}": totals["failed"],
            f"To train again what is stale: {self._plan.command} --rerun-stale": totals["stale"],
        }
        said = ". ".join(line for line, needed in kinds.items() if needed)
        search = f", {counted(trials, 'trial')} of its search left" if trials else ""
        return f"{name}: {totals['finished']} of {runs} finished{search}. {said}"

    def _trials_left(self) -> int:
        if self._plan.sweep.search is None:
            return 0
        from mta_lab.cli.searching import trials_left

        return trials_left(self._plan).total()


def _clock(seconds: float) -> str:
    """Local time of day, like 14:03:59."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")
