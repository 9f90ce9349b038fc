"""Draw learning curves: each row's validations, and their distance from the baseline's."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from components.metrics import Metric
from mta_lab.report import numbers
from mta_lab.report.figures.rows import ROOMY, colour, cut, said_by_seed
from mta_lab.report.table import Table, TableRow
from mta_lab.results.records import Record
from mta_lab.theme.style import BETTER, INK, MUTED, hover

FEWEST_TICKS = 3
Courses = Mapping[int, Sequence[tuple[float, float]]]
"""seed -> its (step, value) pairs"""


class ReadableLog(LogLocator):
    """Ticks of a logarithmic axis, evenly spaced where fewer than three powers would be visible."""

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Return the positions of the ticks from `vmin` to `vmax`."""
        ticks = np.asarray(super().tick_values(vmin, vmax))
        if np.count_nonzero((ticks >= vmin) & (ticks <= vmax)) >= FEWEST_TICKS:
            return list(ticks)
        steps = np.asarray(MaxNLocator(4).tick_values(vmin, vmax))
        return list(steps[steps > 0])


def curves(table: Table, width: float) -> Figure | None:
    """Draw the score by step: mean and range over seeds, with the baseline's mean in grey."""
    found = {row.name: _scores(row.measured.records) for row in table.rows}
    shown = [row for row in table.rows if found[row.name]]
    if not shown:
        return None
    metric = table.sweep.metric

    def draw(axes: Axes, row: TableRow) -> None:
        if base := found[row.measured.baseline]:
            axes.plot(*_mean(base), color=MUTED, linewidth=1)
        gid = hover(said_by_seed(row))
        _band(axes, found[row.name], INK if row.measured.role == "baseline" else BETTER, gid)
        if not metric.is_share:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(ReadableLog(subs=(1, 2, 3, 5), numticks=8))
            axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{100 * value:.0f}%" if metric.is_share else f"{value:g}")
        )

    return panels(shown, width, draw, f"validation {metric.words} by step")


def gains(table: Table, width: float) -> Figure | None:
    """Draw the difference from the baseline by step, seed by seed: mean and range over seeds."""
    records = {row.name: row.measured.records for row in table.rows}
    metric = table.sweep.metric
    found = {
        row.name: _differences(records[row.name], records[row.measured.baseline], metric)
        for row in table.rows
        if row.measured.role == "row"
    }
    shown = [row for row in table.rows if found.get(row.name)]
    if not shown:
        return None

    unit = "percentage points" if metric.is_share else "%"

    def draw(axes: Axes, row: TableRow) -> None:
        axes.axhline(0, color=MUTED, linewidth=0.8)
        courses = found[row.name]
        last = ", ".join(f"seed {seed}: {100 * course[-1][1]:+.2f}" for seed, course in sorted(courses.items()))
        _band(
            axes,
            courses,
            colour(metric, _mean(courses)[1][-1]),
            hover(f"{row.name}, at the end, {unit}: {last}"),
        )
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+.3g}" if value else "0"))

    return panels(shown, width, draw, f"difference from the baseline under the same seed, {unit}, by step")


def panels(
    rows: Sequence[TableRow], width: float, draw: Callable[[Axes, TableRow], None], label: str, *, counts: bool = True
) -> Figure:
    """Return a figure of small panels on the same axes, one for each row; `label` is below them.

    With `counts`, the axis across has whole numbers, from 0.
    """
    columns = min(len(rows), 4 if width > ROOMY else 2)
    lines = math.ceil(len(rows) / columns)
    figure = Figure(figsize=(width, 1.25 * lines + 0.35), layout="constrained")
    places = list(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axes, row in zip(places, rows, strict=False):
        draw(axes, row)
        axes.set_title(cut(row.name, 32), fontsize=7)
        axes.grid()
        if counts:
            axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.count(value) if value else "0"))
        axes.tick_params(labelbottom=True)
    for axes in places[len(rows) :]:
        axes.set_visible(False)
    figure.supxlabel(label, fontsize=7.5, color=MUTED)
    return figure


def _band(axes: Axes, courses: Courses, colour: str, gid: str) -> None:
    """Draw the mean over seeds, and the range from the lowest to the highest."""
    steps, values = _grid(courses)
    axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.25, linewidth=0, gid=gid)
    axes.plot(steps, values.mean(axis=0), color=colour, gid=gid)


def _mean(courses: Courses) -> tuple[np.ndarray, np.ndarray]:
    steps, values = _grid(courses)
    return steps, values.mean(axis=0)


def _grid(courses: Courses) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps that all seeds have, and the values [seed, step] there."""
    steps = sorted(set.intersection(*({step for step, _ in course} for course in courses.values())))
    return np.array(steps), np.array([[dict(course)[step] for step in steps] for course in courses.values()])


def _scores(records: Mapping[int, Record]) -> Courses:
    found = {  # a stage of no steps has a score, and no curve
        seed: [(step, score) for step, score in record.validations if step] for seed, record in records.items()
    }
    return {seed: course for seed, course in found.items() if course}


def _differences(ours: Mapping[int, Record], theirs: Mapping[int, Record], metric: Metric) -> Courses:
    found = {}
    for seed in ours.keys() & theirs.keys():
        base = {step: score for step, score in theirs[seed].validations}
        course = [(step, score, base[step]) for step, score in ours[seed].validations if step in base]
        found[seed] = [(step, metric.difference(score, other)) for step, score, other in course]
    return {seed: course for seed, course in found.items() if course}
