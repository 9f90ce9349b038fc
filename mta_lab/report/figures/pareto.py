"""Draw the score against cost, and the rows that no other row beats in both."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from adjustText import adjust_text
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator, StrMethodFormatter

from components.metrics import Metric
from mta_lab.report.figures.rows import ROOMY, cut, said_by_seed
from mta_lab.report.table import Table, TableRow
from mta_lab.theme.style import BETTER, GRID, INK, MUTED, hover

COSTS = {"flops_per_token": "operations a token", "parameters": "parameters"}
"""counted costs by their names in `Cost`, fewer is better; measured ones would add noise"""
FEW = 6  # with no more rows than these, every row's name has room
STEPS = 500  # most moves of names off marks and each other; a limit in time would make figures vary


@dataclass(frozen=True, kw_only=True)
class Point:
    """A row's place; less is better in both, so a score that should be high is negated."""

    cost: float
    loss: float
    interval: tuple[float, float] | None
    """95 % interval of the loss, beside the baseline's; None where too few runs tell"""


def pareto(table: Table, width: float) -> Figure | None:
    """Draw the score against operations and parameters; None before two rows have both.

    The Pareto front is in colour only where the noise of the runs leaves no doubt of it.
    """
    found = {name: [row for row in table.rows if row.measured.scores and _cost(row, name)] for name in COSTS}
    shown = {name: rows for name, rows in found.items() if len({_cost(row, name) for row in rows}) > 1}
    if not shown:
        return None
    roomy = width > ROOMY
    size = (width, 3.2) if roomy else (width, 2.6 * len(shown))
    figure = Figure(figsize=size, layout="constrained")
    lines, columns = (1, len(shown)) if roomy else (len(shown), 1)
    panels = list(figure.subplots(lines, columns, squeeze=False, sharey=roomy).flat)
    names = [
        _draw(axes, rows, name, table.sweep.metric) for axes, (name, rows) in zip(panels, shown.items(), strict=True)
    ]
    figure.draw_without_rendering()  # from here on, nothing but the names moves
    for axes, texts in zip(panels, names, strict=True):
        _, *marks = axes.lines  # the first line is the front
        boxes = [mark.get_window_extent() for mark in marks]
        adjust_text(texts, objects=boxes, expand=(1.15, 1.9), force_static=(0.3, 0.6), iter_lim=STEPS, ax=axes)
    return figure


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the points (cost, loss) that no other point equals or beats in both.

    Less is better in both.
    """
    best, places = float("inf"), []
    for place in sorted(range(len(points)), key=points.__getitem__):
        if points[place][1] < best:
            best = points[place][1]
            places.append(place)
    return places


def clear_front(points: Sequence[Point]) -> list[int]:
    """Return the indices of the front where noise does not decide it, else none.

    Neighbours on the front have intervals that do not overlap, and each point off the front is
    beaten by one on it over their whole intervals.
    """
    intervals = [point.interval for point in points if point.interval]
    if len(intervals) < len(points):
        return []
    ahead = front([(point.cost, point.loss) for point in points])
    apart = all(intervals[two][1] < intervals[one][0] for one, two in pairwise(ahead))
    beaten = all(
        any(points[one].cost <= point.cost and intervals[one][1] < intervals[place][0] for one in ahead)
        for place, point in enumerate(points)
        if place not in ahead
    )
    return ahead if apart and beaten else []


def _point(row: TableRow, name: str, *, alone: bool) -> Point:
    """Return a row's place, with the interval of its delta around its baseline's mean.

    Where the rows' baseline is not one `alone`, deltas say nothing beside each other.
    """
    measured, metric, mean = row.measured, row.measured.metric, row.measured.mean or 0.0
    interval = (mean, mean) if measured.role == "baseline" else None
    if found := measured.contrast:
        ends = found.low, found.high
        interval = (
            (mean - found.delta + ends[0], mean - found.delta + ends[1])
            if metric.is_share
            else (mean * (1 + ends[0]) / (1 + found.delta), mean * (1 + ends[1]) / (1 + found.delta))
        )
    low, high = sorted(map(metric.loss, interval or (0.0, 0.0)))
    return Point(cost=_cost(row, name), loss=metric.loss(mean), interval=(low, high) if interval and alone else None)


def _draw(axes: Axes, rows: Sequence[TableRow], name: str, metric: Metric) -> list[Text]:
    """Draw the rows, and return the names to be shown, each still at its point.

    Named are the rows with the best means and the baseline; with `FEW` rows or fewer, all.
    """
    alone = len({row.measured.baseline for row in rows}) == 1
    points = [_point(row, name, alone=alone) for row in rows]
    named, ahead = front([(point.cost, point.loss) for point in points]), clear_front(points)
    line = [(points[place].cost, metric.loss(points[place].loss)) for place in ahead]
    axes.plot([cost for cost, _ in line], [score for _, score in line], color=GRID, zorder=1)
    names = []
    for place, (row, point) in enumerate(zip(rows, points, strict=True)):
        mean, baseline = metric.loss(point.loss), row.measured.role == "baseline"
        colour = BETTER if place in ahead else INK if baseline else MUTED
        gid = hover(f"{said_by_seed(row)}; {point.cost:,.0f} {COSTS[name]}")
        if point.interval:
            ends = [metric.loss(end) for end in point.interval]
            axes.plot([point.cost] * 2, ends, color=colour, linewidth=0.8, alpha=0.5, gid=gid)
        axes.plot(point.cost, mean, marker="D" if baseline else "o", markersize=4.5, color=colour, gid=gid)
        if place in named or baseline or len(rows) <= FEW:
            text = axes.text(point.cost, mean, cut(row.name, 26), fontsize=6.5, color=colour, in_layout=False)
            names.append(text)
    axes.set_xlabel(f"{COSTS[name]} (fewer is better)")
    axes.set_ylabel(metric.heading + (" (higher is better)" if metric.higher_is_better else ""))
    axes.margins(0.1, 0.1)  # room for the names
    axes.grid()
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: metric.written(value)))
    return names


def _cost(row: TableRow, name: str) -> float:
    return float(getattr(row.measured.cost, name) or 0)
