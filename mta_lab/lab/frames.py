"""Convert plans and curves to pandas DataFrames."""

from collections.abc import Sequence

from pandas import DataFrame

from mta_lab.lab.costs import Costs
from mta_lab.results.records import Record
from mta_lab.sweep import Sweep


def plan_frame(sweep: Sweep, costs: Costs) -> DataFrame:
    """Return one line a row: what is left, its difference from its baseline, seconds a run."""
    lines = [
        {
            "row": row.name,
            "runs_to_train": costs.runs[row.name],
            "trials_to_run": costs.trials[row.name],
            "failed": costs.failed[row.name],
            "baseline": row.baseline,
            "difference": dict(row.difference),
            "seconds_a_run": costs.estimates[row.name].seconds,
        }
        for row in sweep.staged.rows
    ]
    return DataFrame(lines).set_index("row")


def curves_of(runs: Sequence[tuple[str, Record]]) -> DataFrame:
    """Return one line for each loss and validation: row, seed, step, measure, value.

    `measure` is 'loss', in nats a token, or the name of the run's metric.
    """
    lines = [
        (row, record.config["seed"], int(step), measure, value)
        for row, record in runs
        for measure, points in (("loss", record.losses), *record.apart.items(), (record.quantity, record.validations))
        for step, value in points
    ]
    return DataFrame(lines, columns=["row", "seed", "step", "measure", "value"])
