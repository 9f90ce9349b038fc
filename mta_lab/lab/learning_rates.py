"""Check a sweep's learning rate: do its best rows rank alike at half of it and at twice?"""

from collections.abc import Sequence
from dataclasses import replace

from mta_lab.devices.visible import Gpu
from mta_lab.errors import UserError
from mta_lab.lab.launches import Launched, launch_plan
from mta_lab.lab.plan import Plan
from mta_lab.lab.retries import clear_failures
from mta_lab.lab.tables import finished_table
from mta_lab.report.learning_rates import verdict
from mta_lab.sweep.learning_rates import over_learning_rates
from mta_lab.workspace import again

BEST_ROWS = 2  # checked beside the baseline


def check_learning_rates(
    plan: Plan,
    workers: int | None,
    trial_timeout: float | None = None,
    devices: Sequence[Gpu] | None = None,
) -> tuple[Launched, list[str]]:
    """Train the baseline and the best rows at other learning rates; return it and a verdict.

    The verdict is lines on whether they keep their ranking.

    Raises:
        UserError: no row is finished.
    """
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
    names = sorted(alike, key=lambda row: table.sweep.metric.loss(alike[row]))[:BEST_ROWS]
    command = f"{plan.command} --check-lr"
    checked = replace(plan, sweep=over_learning_rates(plan.sweep, names), command=command, retry=command)
    clear_failures(checked)
    launched = launch_plan(checked, workers, trial_timeout, devices=devices)
    return launched, verdict(finished_table(checked), [plan.sweep.baseline, *names])
