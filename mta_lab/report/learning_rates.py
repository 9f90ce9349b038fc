"""What a table over learning rates says of the ranking of its rows."""

from collections.abc import Mapping, Sequence

from mta_lab.report.table import Table
from mta_lab.sweep.learning_rates import FACTORS, at_rate


def verdict(table: Table, rows: Sequence[str]) -> list[str]:
    """Return whether `rows` rank alike at every learning rate and at each row's own best, in sentences."""
    means = {row.name: row.measured.mean if row.measured.complete else None for row in table.rows}
    scores = {row: {factor: means[at_rate(row, factor)] for factor in FACTORS} for row in rows}
    absent = [at_rate(row, factor) for row, found in scores.items() for factor, mean in found.items() if mean is None]
    if absent:
        return [f"The ranking cannot be told: not all seeds of {', '.join(absent)}."]
    known = {row: {factor: mean for factor, mean in found.items() if mean is not None} for row, found in scores.items()}
    own_best = {row: min(found, key=found.__getitem__) for row, found in known.items()}
    rankings = {f"lr {factor}": _ranked({row: known[row][factor] for row in rows}) for factor in FACTORS}
    rankings["each at its own best"] = _ranked({row: known[row][own_best[row]] for row in rows})
    lines = [f"{where}: {' < '.join(ranking)}" for where, ranking in rankings.items()]
    lines.append("Best learning rates: " + ", ".join(f"{row} {factor}" for row, factor in own_best.items()) + ".")
    at_the_edge = sorted({row for row, factor in own_best.items() if factor != "x1"})
    if at_the_edge:
        lines.append(f"The sweep's learning rate is not the best of the three for {', '.join(at_the_edge)}.")
    same = len({tuple(ranking) for ranking in rankings.values()}) == 1
    held = "holds" if same else "does not hold"
    return [
        *lines,
        f"The ranking of the means {held} over these learning rates; see the intervals for what is resolved.",
    ]


def _ranked(means: Mapping[str, float]) -> list[str]:
    """The rows, lowest score first."""
    return sorted(means, key=means.__getitem__)
