"""Draw the trials of a search in parallel coordinates: a line a trial, an axis a value."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mta_lab.report.searched import shown
from mta_lab.report.table import Table
from mta_lab.sweep.search import Range, Tried
from mta_lab.theme.style import BETTER, INK, MUTED, hover

Place = Callable[[Any], float]


def trials(table: Table, width: float) -> Figure | None:
    """Draw a panel for each row that is searched: the best trial blue, the last axis the score."""
    complete = {
        row: [trial for trial in found.trials if trial.state == "complete"] for row, found in table.searched.items()
    }
    rows = [row for row, found in complete.items() if len(found) > 1]
    if not rows:
        return None
    figure = Figure(figsize=(width, 1.8 * len(rows) + 0.2), layout="constrained")
    for axes, row in zip(figure.subplots(len(rows), 1, squeeze=False).flat, rows, strict=True):
        _panel(axes, table, row, complete[row])
    return figure


def _panel(axes: Axes, table: Table, row: str, found: Sequence[Tried]) -> None:
    metric, search = table.sweep.validated_by, table.sweep.search
    best = min(found, key=lambda trial: metric.loss(_score(trial)))
    names = [*found[0].values]
    space = search.space if search else {}
    places: list[Place] = []
    for at, name in enumerate(names):
        values, one = [trial.values[name] for trial in found], space.get(name)
        places.append(_axis(axes, at, values, shown, log=isinstance(one, Range) and one.log))
    scores = [metric.loss(_score(trial)) for trial in found]
    score = _axis(axes, len(names), [-one for one in scores], lambda loss: metric.written(abs(loss)), log=False)
    for trial in sorted(found, key=lambda trial: trial is best):  # the best on top
        heights = [place(trial.values[name]) for place, name in zip(places, names, strict=True)]
        heights.append(score(-metric.loss(_score(trial))))
        said = ", ".join(f"{name} {shown(value)}" for name, value in trial.values.items())
        gid = hover(f"trial {trial.number}: {said}: {metric.written(_score(trial))}")
        colour, weight = (BETTER, 1.6) if trial is best else (INK, 0.6)
        axes.plot(
            range(len(heights)), heights, color=colour, linewidth=weight, alpha=1 if trial is best else 0.45, gid=gid
        )
    axes.set_xticks(range(len(names) + 1), [*names, metric.heading])
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(names) + 0.25)
    axes.set_ylim(-0.08, 1.08)
    axes.set_title(row, fontsize=7)


def _score(trial: Tried) -> float:
    assert trial.score is not None  # it ran to its end
    return trial.score


def _axis(axes: Axes, at: int, values: Sequence[Any], words: Callable[[Any], str], *, log: bool) -> Place:
    """Draw an axis with its ends, or with all its values; return the height, 0 to 1, of a value."""
    axes.axvline(at, color=MUTED, linewidth=0.8)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        scale: Callable[[float], float] = math.log if log else float
        low, high = min(values), max(values)
        labels, span = {0.0: low, 1.0: high}, scale(high) - scale(low)

        def height(value: Any) -> float:
            return (scale(value) - scale(low)) / span if span else 0.5

        labels = labels if span else {0.5: low}
    else:
        kinds = list(dict.fromkeys(sorted(map(words, values))))
        labels = {(number + 0.5) / len(kinds): kind for number, kind in enumerate(kinds)}

        def height(value: Any) -> float:
            return (kinds.index(words(value)) + 0.5) / len(kinds)

    for level, value in labels.items():
        text = value if isinstance(value, str) else words(value)
        axes.annotate(text, (at, level), (3, 0), textcoords="offset points", fontsize=6, va="center", color=MUTED)
    return height
