"""What a sweep will take, and whether its learning rate decides it: `plan`, `--dry-run`, `--budget`, `--check-lr`."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from rich.table import Table as RichTable

from components.registry import Component
from mta_lab.cli.common import make_console
from mta_lab.cli.launching import run, usual_workers
from mta_lab.cli.retrying import clear_failure
from mta_lab.cli.sweeping import Plan, finished_table, known_runs
from mta_lab.errors import UserError
from mta_lab.model import count_parameters
from mta_lab.planning.estimates import (
    Estimate,
    affordable_seeds,
    estimates,
    operations,
    parse_duration,
    recorded,
    seconds_of,
)
from mta_lab.planning.runs import in_state, states, to_train
from mta_lab.sweep import Row
from mta_lab.sweep.learning_rates import over_learning_rates
from mta_lab.words import counted, duration

BEST_ROWS = 2  # besides the baseline, in a check of learning rates


def show_plan(plan: Plan, workers: int | None, *, probe: bool) -> None:
    """Print the rows, how they differ from their baseline, their cost and what is left; train nothing."""
    sweep, (left, failed_for_good), trials = plan.sweep, _missing_and_failed(plan), _trials_left(plan)
    costs = _costs(plan, workers or usual_workers(), probe=probe)
    table = RichTable(title=f"{sweep.heading}: {left.total()} of {counted(len(sweep.runs()), 'run')} to train")
    for name in ("row", "to train", "differs from its baseline", "parameters", "operations", "time a run"):
        table.add_column(name, justify="left" if name in ("row", "differs from its baseline") else "right")
    for row in sweep.rows:
        against = [f"against {row.baseline}"] if row.baseline not in (row.name, sweep.baseline) else []
        table.add_row(
            row.name,
            _to_train(left[row.name], trials[row.name], failed_for_good[row.name]),
            "\n".join([*against, *_differences(row)]) or "-",
            f"{count_parameters(row.config):,}",
            f"{operations(row.config):.1e}",
            f"{duration(seconds)} ({costs[row.name].origin})" if (seconds := costs[row.name].seconds) else "unknown",
        )
    console = make_console()
    console.print(table)
    for line in sweep.left_out_notes:
        console.print(line, markup=False, highlight=False)
    total = _total(left + trials, costs, workers or usual_workers())
    console.print(f"In all: {total}. Operations: about 6 a parameter and token.")


def within(plan: Plan, budget: str, workers: int | None) -> Plan:
    """The plan with as many seeds as fit the budget, each over all rows; says how many and why."""
    seconds, workers = parse_duration(budget, "--budget"), workers or usual_workers()
    costs = _costs(plan, workers, probe=True)

    def left(seeds: int) -> Mapping[str, int]:
        return _missing_and_failed(_with_seeds(plan, seeds))[0] + _trials_left(plan)

    seeds = affordable_seeds(costs, left, budget=seconds, workers=workers)
    option = f" --seeds {seeds}"
    chosen = replace(_with_seeds(plan, seeds), command=plan.command + option, retry=plan.retry + option)
    total = _total(left(seeds), costs, workers)
    make_console().print(f"--budget {budget}: {counted(seeds, 'seed')} of every row, {total}{_busy(costs)}")
    return chosen


def _busy(costs: Mapping[str, Estimate]) -> str:
    """Return a warning where times were taken while other work ran: they are too long, and more seeds may fit."""
    rows = [row for row, cost in costs.items() if cost.contended]
    if not rows:
        return ""
    return f"; {counted(len(rows), 'row')} timed on a busy machine, so that more may fit; --seeds N says how many"


def check_learning_rates(
    plan: Plan, workers: int | None, components: Sequence[Path], trial_timeout: float | None
) -> int:
    """Train the baseline and the best rows so far at other learning rates; print whether they rank alike."""
    from mta_lab.report.learning_rates import verdict  # slow to import

    table = finished_table(plan)
    alike = {
        row.name: mean
        for row in table.rows
        if row.measured.role == "row" and row.measured.baseline == plan.sweep.baseline and row.measured.complete
        if (mean := row.measured.mean) is not None
    }
    if not alike:
        raise UserError(f"--check-lr: no row is finished, so there is nothing to check; run `{plan.command}` first")
    names = sorted(alike, key=lambda row: table.sweep.metric.loss(alike[row]))[:BEST_ROWS]
    command = f"{plan.command} --check-lr"
    checked = replace(plan, sweep=over_learning_rates(plan.sweep, names), command=command, retry=command)
    clear_failure(checked)
    status = run(checked, workers, components, trial_timeout)
    for line in verdict(finished_table(checked), [plan.sweep.baseline, *names]):
        make_console().print(line)
    return status


def _with_seeds(plan: Plan, seeds: int) -> Plan:
    return replace(plan, sweep=replace(plan.sweep, seeds=tuple(range(seeds))))


def _trials_left(plan: Plan) -> Counter[str]:
    """Return how many trials of each row are still to run; of a sweep without a search, none."""
    if plan.sweep.search is None:
        return Counter()
    from mta_lab.cli.searching import trials_left

    return trials_left(plan)


def _to_train(runs: int, trials: int, failed_for_good: int) -> str:
    some = [counted(count, what) for count, what in ((trials, "trial"), (runs, "run")) if count]
    return ", ".join([*some, *([f"{failed_for_good} failed"] if failed_for_good else [])]) or "finished"


def _missing_and_failed(plan: Plan) -> tuple[Counter[str], Counter[str]]:
    """Return how many runs of each row are still to train, and how many failed for good."""
    runs = known_runs(plan)
    if runs is None:
        return Counter(run.row for run in plan.sweep.runs()), Counter()
    found = states(runs, plan.records)
    kinds = to_train(runs, found, rerun_stale=plan.rerun_stale), in_state(runs, found, "failed")
    left, failed_for_good = (Counter(run.row for run in kind) for kind in kinds)
    return left, failed_for_good


def _costs(plan: Plan, workers: int, *, probe: bool) -> Mapping[str, Estimate]:
    history = plan.records.all_finished()
    if not probe:
        return {row.name: recorded(row, history) for row in plan.sweep.rows}
    console = make_console()
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    with console.status("timing a few steps of each row") as status:
        return estimates(plan.sweep, history, threads, lambda line: status.update(console.render_str(line)))


def _total(left: Mapping[str, int], costs: Mapping[str, Estimate], workers: int) -> str:
    rows = [row for row, runs in left.items() if runs]
    if not rows:
        return "nothing to train"
    seconds = seconds_of(left, costs, workers)
    if seconds is None:
        unknown = sum(costs[row].seconds is None for row in rows)
        return f"unknown; {counted(unknown, 'row')} without a recorded run"
    return f"about {duration(seconds)} on {counted(workers, 'worker')}"


def _differences(row: Row) -> list[str]:
    """Return how the row differs from its baseline, a component in short."""
    components = {"attention": row.config.attention, "task": row.config.task}
    named = [name for name in components if any(key.startswith(f"{name}.") for key in row.difference)]
    rest = [f"{key}: {value}" for key, value in row.difference.items() if key.partition(".")[0] not in components]
    return [*(f"{name}: {_brief(components[name])}" for name in named), *rest]


def _brief(value: Any) -> str:
    """A component as its name and the settings that are not its defaults."""
    if isinstance(value, tuple) and any(isinstance(item, Component) for item in value):
        return f"[{', '.join(map(_brief, value))}]"
    if not isinstance(value, Component):
        return "[]" if value == () else str(list(value)) if isinstance(value, tuple) else str(value)
    given = {field.name: getattr(value, field.name) for field in fields(value)}
    own = [f"{name} {_brief(found)}" for name, found in given.items() if found != getattr(type(value), name, MISSING)]
    return f"{value.name}({', '.join(own)})" if own else value.name
