"""`sweep` and `report`: plan the cells, launch what is missing, print the table."""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
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
from mta_lab.states import State
from mta_lab.sweep import Cell, Sweep, load_sweep
from mta_lab.sweep.search import Winners
from mta_lab.tracking.entries import Shown
from mta_lab.worker.tasks import Task, in_state, states, tasks_of, to_train, why_stale

if TYPE_CHECKING:
    from mta_lab.report import Table


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A resolved sweep and where its records are."""

    given: str
    """the sweep's name or file, as it was given"""
    sweep: Sweep
    records: Records
    command: str
    """what trains it, as it is typed"""
    retry: str
    """what tries its failed cells again, as it is typed"""
    reload: Callable[[Winners], Sweep] | None = None
    """the sweep anew, its searched rows at the values that won"""
    rerun_stale: bool = False
    """whether a launch trains cells anew whose only results are of other code, text or engine"""


def plan(name: str, settings: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path]) -> Plan:
    """Resolve a sweep; every mistake in it is said here, before anything starts."""
    load_components(components)

    def load(winners: Winners) -> Sweep:
        return load_sweep(name, scale=scale, settings=settings, seeds=seeds, settle=settled, winners=winners)

    def command(verb: str) -> str:
        return typed(verb, name, *settings, scale=scale, seeds=seeds, components=components)

    sweep = load({})
    found = Plan(
        given=name, sweep=sweep, records=Records(), command=command("sweep"), retry=command("retry"), reload=load
    )
    if sweep.search is None:
        return found
    from mta_lab.cli.searching import at_hand

    return at_hand(found)


def typed(*words: str, scale: str, seeds: int | None, components: Sequence[Path]) -> str:
    """A command as it is typed: verb, name and settings, and the options that decide what is trained."""
    options = ["--scale", scale, *(["--seeds", str(seeds)] if seeds else [])]
    options += [word for path in components for word in ("--components", str(path))]
    return shlex.join(["mta-lab", *words, *options])


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
            print(f"mta-lab: interrupted; the same command goes on with the search: {plan.command}", file=sys.stderr)
            return 130
    tasks = tasks_of(plan.sweep, open_corpus)
    table = cache(lambda: table_of(plan, tasks))  # asked for when nothing ends any more
    show = cache(lambda: _print_table(table(), console))
    found = states(tasks, plan.records)
    to_do = to_train(tasks, found, rerun_stale=plan.rerun_stale)
    if to_do:
        console.print(f"{plan.sweep.title}: {len(to_do)} of {len(tasks)} cells to train on {workers} workers")
        bars = ExitStack()

        def shown() -> Shown:
            whole = shown_of(plan, table())

            def files() -> Mapping[str, str]:
                bars.close()
                show()  # before the page, whose figures take seconds to draw
                return whole.files()

            return whole._replace(files=files)

        try:
            with bars:
                launch(
                    plan.sweep,
                    tasks,
                    records=plan.records,
                    workers=workers,
                    components=components,
                    corpus_root=CORPORA,
                    observer=bars.enter_context(
                        observer_for(console, [task.cell.config.training.steps for task in to_do])
                    ),
                    shown=shown,
                    trial_timeout=trial_timeout,
                    rerun_stale=plan.rerun_stale,
                )
            found = states(tasks, plan.records)
        except KeyboardInterrupt:
            show()
            left = len(to_train(tasks, states(tasks, plan.records), rerun_stale=plan.rerun_stale))
            again = f"the same command goes on with them: {plan.command}"
            print(f"mta-lab: interrupted; {left} cells left, {again}", file=sys.stderr)
            return 130
    else:
        finished = sum(found[task.fingerprint] == "finished" for task in tasks)
        done = f"all {len(tasks)}" if finished == len(tasks) else f"{finished} of {len(tasks)}"
        console.print(f"{plan.sweep.title}: {done} cells are finished, nothing to train")
    show()
    return _say_what_is_left(plan, tasks, found, console)


def _say_what_is_left(plan: Plan, tasks: Sequence[Task], found: Mapping[str, State], console: Console) -> int:
    """What is stale or failed, and what to type next; the exit status."""
    if old := in_state(tasks, found, "stale"):
        changed = ", ".join(sorted({why_stale(task, plan.records) for task in old}))
        cells, them = ("1 cell is", "it") if len(old) == 1 else (f"{len(old)} cells are", "them")
        line = f"{cells} stale ({changed} changed since): --rerun-stale trains {them} again"
        console.print(line, soft_wrap=True)
    if failures := in_state(tasks, found, "failed"):
        console.print(f"{len(failures)} cells failed; `{plan.retry}` tries them again", soft_wrap=True)
    return 0 if set(found.values()) <= {"finished"} else 1


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
            f"`{plan.command}` prepares it and trains what is missing"
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


def _print_table(table: "Table", console: Console) -> None:
    from mta_lab.report import render  # slow to import, and workers should start before it

    render(table, "rich", console)


def shown_of(plan: Plan, table: "Table") -> Shown:
    """What MLflow shows of the plan's table."""
    from mta_lab.report import markdown
    from mta_lab.report.data import summary
    from mta_lab.report.files import artifacts

    return Shown(markdown(table), summary(table), lambda: artifacts(table, plan.command, dashboard_address()))


def table_of(plan: Plan, tasks: Sequence[Task]) -> "Table":
    """The table of the plan's cells, as far as `tasks` are finished."""
    from mta_lab.report import build_table

    fingerprints = {(task.cell.row, task.cell.seed): task.fingerprint for task in tasks}
    return build_table(plan.sweep, fingerprints, plan.records)
