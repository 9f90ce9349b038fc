"""`sweep`: launch what is missing of a plan, show its table, and say what is left."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rich.console import Console

from mta_lab.admission import admit
from mta_lab.cli.common import CORPORA, make_console
from mta_lab.cli.own_sweeps import remember
from mta_lab.cli.sweeping import Plan, launch_summary, preparing, table_of
from mta_lab.planning.runs import Run, in_state, refuse_damaged, runs_of, states, to_train, why_stale
from mta_lab.results.states import State
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.words import counted, counted_are

if TYPE_CHECKING:
    from mta_lab.report import Table


def run(plan: Plan, workers: int | None, components: Sequence[Path], trial_timeout: float | None = None) -> int:
    """Launch what is missing and print the table; the exit status is 1 as long as it is incomplete."""
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
    runs = runs_of(plan.sweep, open_corpus)
    results = _Results(plan, runs, console)
    found = states(runs, plan.records)
    refuse_damaged(runs, found, plan.records)
    to_do = to_train(runs, found, rerun_stale=plan.rerun_stale)
    if to_do:
        number, on = counted(len(runs), "run"), counted(workers, "worker")
        console.print(f"{plan.sweep.title}: {len(to_do)} of {number} to train on {on}")
        try:
            _train(plan, runs, to_do, results, workers, components, trial_timeout)
        except KeyboardInterrupt:
            remember(plan.given, plan.records)
            results.show()
            left = len(to_train(runs, states(runs, plan.records), rerun_stale=plan.rerun_stale))
            again = f"the same command goes on with them: {plan.command}"
            print(f"mta-lab: interrupted; {counted(left, 'run')} left, {again}", file=sys.stderr)
            return 130
        found = states(runs, plan.records)
    else:
        finished = sum(found[run.fingerprint] == "finished" for run in runs)
        part = f"{finished} of " if finished < len(runs) else "all " if finished > 1 else ""
        console.print(f"{plan.sweep.title}: {part}{counted_are(len(runs), 'run')} finished, nothing to train")
    remember(plan.given, plan.records)
    results.show()
    return _say_what_is_left(plan, runs, found, console)


class _Results:
    """What came out, asked for when nothing ends any more: made once, shown once."""

    def __init__(self, plan: Plan, runs: Sequence[Run], console: Console) -> None:
        self._plan, self._runs, self.console = plan, runs, console
        self._shown = False

    @cached_property
    def table(self) -> "Table":
        return table_of(self._plan, self._runs)

    def show(self) -> None:
        """Print the table, unless it was printed."""
        from mta_lab.report import render  # slow to import, and workers should start before it

        if not self._shown:
            render(self.table, "rich", self.console)
        self._shown = True


def _train(
    plan: Plan,
    runs: Sequence[Run],
    to_do: Sequence[Run],
    results: _Results,
    workers: int,
    components: Sequence[Path],
    trial_timeout: float | None,
) -> None:
    """Launch what is `to_do`; the table is shown at the end, before the figures of its page, which take seconds."""
    from mta_lab.cli.progress import observer_for
    from mta_lab.launch.launch import launch

    steps = [run.config.training.steps for run in to_do]
    with ExitStack() as bars:
        observer = bars.enter_context(observer_for(results.console, steps))

        def shown() -> LaunchSummary:
            whole = launch_summary(plan, results.table)

            def files() -> Mapping[str, str]:
                bars.close()
                results.show()
                return whole.files()

            return whole._replace(files=files)

        launch(
            plan.sweep,
            runs,
            records=plan.records,
            workers=workers,
            components=components,
            corpus_root=CORPORA,
            observer=observer,
            shown=shown,
            command=plan.command,
            trial_timeout=trial_timeout,
            rerun_stale=plan.rerun_stale,
        )


def _say_what_is_left(plan: Plan, runs: Sequence[Run], found: Mapping[str, State], console: Console) -> int:
    """Say what is stale or failed, and what to type next; return the exit status."""
    if old := in_state(runs, found, "stale"):
        changed = ", ".join(sorted({why_stale(run, plan.records) for run in old}))
        them = "it" if len(old) == 1 else "them"
        line = f"{counted_are(len(old), 'run')} stale ({changed} changed since): --rerun-stale trains {them} again"
        console.print(line, soft_wrap=True)
    if failures := in_state(runs, found, "failed"):
        them = "it" if len(failures) == 1 else "them"
        console.print(f"{counted(len(failures), 'run')} failed; `{plan.retry}` tries {them} again", soft_wrap=True)
    return 0 if set(found.values()) <= {"finished"} else 1


def usual_workers() -> int:
    """One with a GPU, or else as many as there are cores."""
    return 1 if torch.cuda.is_available() else len(os.sched_getaffinity(0))
