"""A sweep's table as metrics of its launch's run: `mean/ROW`, `delta/ROW` and so on."""

import re
from collections.abc import Iterable, Mapping

from mlflow.entities import Metric

LONGEST = 200  # characters of a row's name; MLflow takes 250 of a metric's


def metrics(summary: Mapping[str, Mapping[str, float]], at: int) -> list[Metric]:
    """The numbers (row -> what -> number) as metrics at a time; what they are comes first: rows stand side by side."""
    names = metric_names(summary)
    return [
        Metric(f"{what}/{names[row]}", value, at, 0)
        for row, values in summary.items()
        for what, value in values.items()
    ]


def metric_names(rows: Iterable[str]) -> dict[str, str]:
    """Each row's name in metrics, another one for each: MLflow takes letters, digits, spaces and `_-.`."""
    names: dict[str, str] = {}
    taken = set[str]()
    for row in rows:
        plain = re.sub(r"[^\w.\- ]+", "-", row.replace(",", ""))[:LONGEST].strip(". -") or "row"
        name, n = plain, 1
        while name.lower() in taken:  # some stores do not tell `a` from `A`
            n += 1
            name = f"{plain} {n}"
        taken.add(name.lower())
        names[row] = name
    return names
