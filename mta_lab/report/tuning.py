"""Show the tuning of a sweep: each row's scores over the values of the setting, and the cost."""

from typing import Any

from mta_lab.report.page import Line, Section
from mta_lab.report.table import Table
from mta_lab.sweep.tune import STREAM, Curve, Tuning
from mta_lab.words import counted, duration


def curve_section(table: Table, tuning: Tuning) -> Section:
    """Return a line for each row: its score at each value that any row tried, the best marked."""
    values = sorted({point.value for curve in tuning.curves.values() for point in curve.points})
    metric = table.sweep.validated_by

    def cell(curve: Curve, value: float) -> str:
        found = next((point for point in curve.points if point.value == value), None)
        if found is None:
            return "-"
        if found.score is None:
            return "pending" if found.loss is None else "diverged"
        return f"{metric.written(found.score)}{' *' if value == curve.best else ''}"

    lines = (
        Line(cells=(row, *(cell(curve, value) for value in values)), tone="plain")
        for row, curve in tuning.curves.items()
    )
    title = f"{metric.heading.capitalize()} by {tuning.tune.key}; * is the row's value in this table"
    return Section(title=title, header=("row", *(f"{value:g}" for value in values)), lines=tuple(lines))


def tuning_notes(table: Table) -> list[str]:
    """Return a sentence on what was tuned, on which random numbers and at what cost."""
    tuning = table.sweep.tuning
    if tuning is None:
        return []
    key, seeds = tuning.tune.key, tuning.tune.seeds
    runs, seconds = cost(tuning)
    if not runs:
        return [f"No row is tuned yet: each stands at the {key} that the file and the scale say."]
    took = f"{counted(runs, 'run')}, {duration(seconds)} of one worker"
    lines = [
        f"Each row is trained at its own best {key}, chosen by {counted(seeds, 'run')} at each value on the random "
        f"stream '{STREAM}', which no run of the table shares. Cost of the choice: {took}."
    ]
    if tuning.untuned:
        lines.append(f"Not tuned yet, and at the {key} that the file and the scale say: {', '.join(tuning.untuned)}.")
    return lines


def cost(tuning: Tuning) -> tuple[int, float]:
    """Return how many runs ended that chose values, and their seconds together."""
    points = [point for curve in tuning.curves.values() for point in curve.points if point.loss is not None]
    seconds = {point.runs: point.seconds for point in points}  # an A/A row's are its baseline's
    return len(seconds) * tuning.tune.seeds, sum(seconds.values())


def tuning_document(tuning: Tuning) -> dict[str, Any]:
    """Return the JSON form: setting, stream, seeds, cost, and each row's curve and best value."""
    runs, seconds = cost(tuning)
    return {
        "key": tuning.tune.key,
        "stream": STREAM,
        "seeds": tuning.tune.seeds,
        "runs": runs,
        "seconds": seconds,
        "rows": {
            row: {
                "best": curve.best,
                "bracket": list(curve.bracket),
                "points": [
                    {
                        "value": point.value,
                        "score": point.score,
                        "diverged": point.score is None and point.loss is not None,
                        "seconds": point.seconds,
                    }
                    for point in curve.points
                ],
            }
            for row, curve in tuning.curves.items()
        },
    }


def tuned_columns(tuning: Tuning | None, row: str) -> dict[str, float | None]:
    """Return the columns of a row in CSV: its best value, and its score at each value tried."""
    if tuning is None:
        return {}
    curve, name = tuning.curves[row], tuning.tune.key.rpartition(".")[2]
    return {
        f"row.tuned.{name}": curve.best,
        **{f"row.tuned.{name}.{point.value:g}": point.score for point in curve.points},
    }
