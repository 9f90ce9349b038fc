"""Check a sweep's learning rate: tune its baseline and best rows at half of it, once and twice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mta_lab.devices.visible import Gpu
from mta_lab.errors import UserError
from mta_lab.executors.launchers import LOCAL, Launcher
from mta_lab.lab.launches import launch_options
from mta_lab.lab.plan import Plan
from mta_lab.lab.retries import clear_failures
from mta_lab.lab.tables import finished_table
from mta_lab.lab.tuning import open_tuned, tune, tuned_lines
from mta_lab.launch.requests import forget_requests
from mta_lab.sweep.tune import Curve, Tune, begun
from mta_lab.workspace import again

BEST_ROWS = 2  # checked beside the baseline
KEY = "training.learning_rate"
RATES = ("half", "once", "twice")


def check_learning_rates(
    plan: Plan,
    workers: int | None,
    trial_timeout: float | None = None,
    devices: Sequence[Gpu] | None = None,
    devices_per_run: int = 1,
    launcher: Launcher = LOCAL,
) -> list[str]:
    """Run the baseline and the best rows at three learning rates; return lines on their ranking.

    It is the tuning of a sweep that says `tune: training.learning_rate`, of a few rows and without
    widening.

    Raises:
        UserError: no row is finished, or the sweep tunes its rows by itself.
    """
    if plan.sweep.tuning:
        raise UserError(f"--check-lr: {plan.given} tunes {plan.sweep.tuning.tune.key}; `{again(plan.report)}` shows it")
    names = [plan.sweep.baseline, *_best_rows(plan)]
    rows = tuple(row for row in plan.sweep.rows if row.name in names)
    if staged := [row.name for row in rows if row.stages]:
        raise UserError(
            f"--check-lr: row '{staged[0]}' has stages, and whole runs are tried; check the rate without them"
        )
    tuning = replace(begun(Tune(key=KEY), rows, {}, plan.given), widenings=0)
    command = f"{plan.command} --check-lr"
    sweep = replace(plan.sweep, rows=rows, tuning=tuning, search=None)
    checked = open_tuned(replace(plan, sweep=sweep, command=command, retry=command))
    clear_failures(checked)
    forget_requests(checked.records.directory)
    checked = tune(checked, launch_options(checked, workers, trial_timeout, devices, devices_per_run, launcher))
    assert checked.sweep.tuning
    return [*(line for row in names for line in tuned_lines(checked, row)), *_rankings(checked.sweep.tuning.curves)]


def _best_rows(plan: Plan) -> list[str]:
    """Return the rows with the best scores of those compared with the sweep's baseline."""
    table = finished_table(plan)
    alike = {
        row.name: mean
        for row in table.rows
        if row.measured.role == "row" and row.measured.baseline == plan.sweep.baseline and row.measured.complete
        if (mean := row.measured.mean) is not None
    }
    if not alike:
        raise UserError(
            f"--check-lr: no row is finished, so there is nothing to check; run `{again(plan.command)}` first"
        )
    return sorted(alike, key=lambda row: table.sweep.metric.loss(alike[row]))[:BEST_ROWS]


def _rankings(curves: Mapping[str, Curve]) -> list[str]:
    """Return the ranking, best first, at each rate and with each row at its best, in lines."""
    losses = {row: [point.loss or 0.0 for point in curve.points] for row, curve in curves.items()}
    found = {
        **{f"at {rate} the rate": _ranked(losses, place) for place, rate in enumerate(RATES)},
        "each row at its best": sorted(losses, key=lambda row: min(losses[row])),
    }
    lines = [f"{where}: {' before '.join(ranking)}" for where, ranking in found.items()]
    other = [row for row, values in losses.items() if values[1] > min(values)]
    if other:
        lines.append(f"The sweep's learning rate is not the best of the three for {', '.join(other)}.")
    held = "is" if len({tuple(ranking) for ranking in found.values()}) == 1 else "is not"
    return [*lines, f"The ranking {held} the same throughout, by one run of each; no difference is tested."]


def _ranked(losses: Mapping[str, Sequence[float]], place: int) -> list[str]:
    return sorted(losses, key=lambda row: losses[row][place])
