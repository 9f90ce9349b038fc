"""Write a sweep's table as metrics of its launch's run: `mean/ROW`, `delta/ROW` and so on."""

from collections.abc import Mapping

from mlflow.entities import Metric

from mta_lab.tracking.keys import keys


def metrics(summary: Mapping[str, Mapping[str, float]], at: int) -> list[Metric]:
    """Return numbers (row -> name -> number) as metrics NAME/ROW: rows stand side by side."""
    kinds = dict.fromkeys(what for values in summary.values() for what in values)
    return [
        Metric(key, summary[row][what], at, 0)
        for what in kinds
        for row, key in keys(summary, f"{what}/").items()
        if what in summary[row]
    ]
