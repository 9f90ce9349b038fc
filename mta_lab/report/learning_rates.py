"""Judge from a table over learning rates whether rows keep their ranking."""

from collections.abc import Mapping, Sequence

from components.metrics import Metric
from mta_lab.report.table import Table
from mta_lab.sweep.learning_rates import FACTORS, at_rate


def verdict(table: Table, rows: Sequence[str]) -> list[str]:
    """Return sentences on whether `rows` keep their ranking over learning rates.

    Compared are the rankings at each rate, and the one with each row at its own best rate.
    """
    means = {row.name: row.measured.mean if row.measured.complete else None for row in table.rows}
    scores = {row: {factor: means[at_rate(row, factor)] for factor in FACTORS} for row in rows}
    absent = [at_rate(row, factor) for row, found in scores.items() for factor, mean in found.items() if mean is None]
    if absent:
        return [f"The rankings cannot be compared: not all seeds have finished of {', '.join(absent)}."]
    known = {row: {factor: mean for factor, mean in found.items() if mean is not None} for row, found in scores.items()}
    metric = table.sweep.metric
    own_best = {row: _ranked(metric, found)[0] for row, found in known.items()}
    rankings = {f"lr {factor}": _ranked(metric, {row: known[row][factor] for row in rows}) for factor in FACTORS}
    rankings["each row at its best"] = _ranked(metric, {row: known[row][own_best[row]] for row in rows})
    order = " > " if metric.higher_is_better else " < "
    lines = [f"{where}: {order.join(ranking)}" for where, ranking in rankings.items()]
    lines.append("Best learning rates: " + ", ".join(f"{row} {factor}" for row, factor in own_best.items()) + ".")
    at_the_edge = sorted({row for row, factor in own_best.items() if factor != "x1"})
    if at_the_edge:
        lines.append(f"The sweep's learning rate is not the best of the three for {', '.join(at_the_edge)}.")
    same = len({tuple(ranking) for ranking in rankings.values()}) == 1
    held = "is" if same else "is not"
    return [
        *lines,
        f"The ranking of the means {held} the same for every choice of learning rate above; the intervals show what "
        "is resolved.",
    ]


def _ranked(metric: Metric, means: Mapping[str, float]) -> list[str]:
    """Return the names, best score first."""
    return sorted(means, key=lambda name: metric.loss(means[name]))
