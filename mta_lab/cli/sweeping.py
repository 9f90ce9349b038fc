"""`sweep` and `report`: plan the cells, launch what is missing, print the table."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rich.console import Console

from mta_lab.admission import admit
from mta_lab.cli.common import CORPORA, dashboard_address, make_console
from mta_lab.config import RunConfig
from mta_lab.data import Corpus, find, prepare
from mta_lab.errors import UserError
from mta_lab.plugins import load_components
from mta_lab.records import Records
from mta_lab.sweep import Cell, Sweep, load_sweep
from mta_lab.sweep.search import Winners
from mta_lab.tracking.entries import Shown
from mta_lab.worker.tasks import Task, failed, missing, states, tasks_of, to_train, why_stale

if TYPE_CHECKING:
    from mta_lab.report import Table


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A resolved sweep and where its records are."""

    given: str
    """the sweep's name or file, as it was given"""
    sweep: Sweep
    records: Records
    reload: Callable[[Winners], Sweep] | None = None
    """the sweep anew, its searched rows at the values that won"""
    retry: str = "the same command"
    """what tries the failed cells again"""
    rerun_stale: bool = False
    """whether a launch trains cells anew whose only results are of other code, text or engine"""


def plan(name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path]) -> Plan:
    """Resolve a sweep; every mistake in it is said here, before anything starts."""
    load_components(components)

    def load(winners: Winners) -> Sweep:
        return load_sweep(name, scale=scale, settings=settings, seeds=seeds, settle=settled, winners=winners)

    sweep = load({})
    found = Plan(given=name, sweep=sweep, records=Records(), reload=load, retry=f"`mta-lab retry {name}`")
    if sweep.search is None:
        return found
    from mta_lab.cli.searching import at_hand

    return at_hand(found)


def settled(config: RunConfig, like: RunConfig) -> RunConfig:
    """`config` with what it leaves open decided for this machine."""
    if config.training.precision != "auto":
        return config
    from mta_lab.precision import settle

    return settle(config, like, note)


def note(message: str) -> None:
    """Say something that is no part of a command's output."""
    print(f"mta-lab: {message}", file=sys.stderr)


def run(plan: Plan, workers: int | None, components: Sequence[Path], trial_timeout: float | None = None) -> int:
    """Launch what is missing and print the table; the exit status is 1 as long as it is incomplete."""
    from mta_lab.cli.progress import observer_for
    from mta_lab.worker.launch import launch

    admit(row.config for row in plan.sweep.rows)
    workers = workers or usual_workers()
    console = make_console()
    open_corpus = preparing(console)
    if plan.sweep.search:
        from mta_lab.cli.searching import search

        try:
            plan = search(plan, workers, components, console, trial_timeout)
        except KeyboardInterrupt:
            print("mta-lab: interrupted; the same command goes on with the search", file=sys.stderr)
            return 130
    tasks = tasks_of(plan.sweep, open_corpus)
    to_do = to_train(tasks, plan.records, rerun_stale=plan.rerun_stale)
    if to_do:
        console.print(f"{plan.sweep.title}: {len(to_do)} of {len(tasks)} cells to train on {workers} workers")
        try:
            with observer_for(console, [task.cell.config.training.steps for task in to_do]) as observer:
                launch(
                    plan.sweep,
                    tasks,
                    records=plan.records,
                    workers=workers,
                    components=components,
                    corpus_root=CORPORA,
                    observer=observer,
                    shown=lambda: shown_of(plan, tasks),
                    trial_timeout=trial_timeout,
                    rerun_stale=plan.rerun_stale,
                )
        except KeyboardInterrupt:
            _print_table(plan, tasks, console, "rich")
            left = len(to_train(tasks, plan.records, rerun_stale=plan.rerun_stale))
            print(f"mta-lab: interrupted; {left} cells left, the same command goes on with them", file=sys.stderr)
            return 130
    else:
        finished = sum(plan.records.has_finished(task.fingerprint) for task in tasks)
        done = f"all {len(tasks)}" if finished == len(tasks) else f"{finished} of {len(tasks)}"
        console.print(f"{plan.sweep.title}: {done} cells are finished, nothing to train")
    _print_table(plan, tasks, console, "rich")
    for line in stale_in_words(tasks, plan.records):
        console.print(line, soft_wrap=True)
    if failures := failed(tasks, plan.records):
        console.print(f"{len(failures)} cells failed; {plan.retry} tries them again")
    return 1 if failures or missing(tasks, plan.records) else 0


def stale_in_words(tasks: Sequence[Task], records: Records) -> list[str]:
    """A line on the stale cells, what changed and what trains them again; none where there are none."""
    found = states(tasks, records)
    old = [task for task in tasks if found[task.fingerprint] == "stale"]
    if not old:
        return []
    changed = ", ".join(sorted({why_stale(task, records) for task in old}))
    cells = "1 cell is" if len(old) == 1 else f"{len(old)} cells are"
    return [f"{cells} stale ({changed} changed since): --rerun-stale trains {'it' if len(old) == 1 else 'them'} again"]


def preparing(console: Console) -> Callable[[Cell], Corpus]:
    """Opens the text of a cell, prepared first where that is needed."""
    return _opener(lambda cell: prepare(cell.config.data, cell.config.model.vocabulary, CORPORA, console.print))


def usual_workers() -> int:
    """One with a GPU, or else as many as there are cores."""
    return 1 if torch.cuda.is_available() else len(os.sched_getaffinity(0))


def finished_table(plan: Plan) -> "Table":
    """The table of what is finished."""
    tasks = tasks_at_hand(plan)
    if tasks is None:
        raise UserError(
            f"{plan.given}: its text is not prepared here, so what is finished cannot be told; "
            f"`mta-lab sweep {plan.given}` prepares it and trains what is missing"
        )
    return table_of(plan, tasks)


def tasks_at_hand(plan: Plan) -> list[Task] | None:
    """The tasks, if the text they read, where they read any, is prepared; without it, none can be finished."""

    class AbsentError(Exception):
        """The text of some cell is not there."""

    def open_corpus(cell: Cell) -> Corpus:
        corpus = find(cell.config.data, cell.config.model.vocabulary, CORPORA)
        if corpus is None:
            raise AbsentError
        return corpus

    try:
        return tasks_of(plan.sweep, _opener(open_corpus))
    except AbsentError:
        return None


def _opener(open_one: Callable[[Cell], Corpus]) -> Callable[[Cell], Corpus]:
    """Open each text once, however many cells read it."""
    opened: dict[object, Corpus] = {}

    def open_corpus(cell: Cell) -> Corpus:
        key = (cell.config.data, cell.config.model.vocabulary)
        if key not in opened:
            opened[key] = open_one(cell)
        return opened[key]

    return open_corpus


def _print_table(plan: Plan, tasks: Sequence[Task], console: Console, form: str) -> None:
    from mta_lab.report import render  # slow to import, and workers should start before it

    render(table_of(plan, tasks), form, console)


def shown_of(plan: Plan, tasks: Sequence[Task]) -> Shown:
    """What MLflow shows of the plan's table."""
    from mta_lab.report import markdown
    from mta_lab.report.data import summary
    from mta_lab.report.files import artifacts

    table, command = table_of(plan, tasks), f"mta-lab sweep {plan.given} --scale {plan.sweep.scale}"
    return Shown(markdown(table), summary(table), lambda: artifacts(table, command, dashboard_address()))


def table_of(plan: Plan, tasks: Sequence[Task]) -> "Table":
    """The table of the plan's cells, as far as `tasks` are finished."""
    from mta_lab.report import build_table

    fingerprints = {(task.cell.row, task.cell.seed): task.fingerprint for task in tasks}
    return build_table(plan.sweep, fingerprints, plan.records)
