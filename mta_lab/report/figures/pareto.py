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

COSTS = {"tokens_per_second": ("training tokens a second", 1), "parameters": ("parameters", -1)}
"""name -> its label, and 1 where more is better or -1 where less is"""
FEW = 6  # with no more rows than these, every row's name has room
STEPS = 500  # most moves of names off marks and each other; a limit in time would make figures vary


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The position of a row's runs; less is better in both, so what should be high is negated."""

    runs: int
    means: tuple[float, float]
    """mean cost, mean loss"""
    cost: tuple[float, float]
    """lowest and highest cost; `loss` likewise"""
    loss: tuple[float, float]


def pareto(table: Table, width: float) -> Figure | None:
    """Draw the score against tokens a second and parameters; None before two rows have both.

    The Pareto front is in colour only where the spread over runs leaves no doubt of it.
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


def clear_front(points: Sequence[Spread]) -> list[int]:
    """Return the indices of the front where chance does not decide it, else none.

    Every point needs two runs, and ranges (lowest, highest) must not overlap: each point off the
    front is beaten by one on it over their whole ranges, and neighbours on the front differ in cost
    and loss over their whole ranges.
    """
    if any(point.runs < 2 for point in points):
        return []
    ahead = front([point.means for point in points])
    on = [points[place] for place in ahead]
    apart = all(one.cost[1] < two.cost[0] and two.loss[1] < one.loss[0] for one, two in pairwise(on))
    beaten = all(
        any(one.cost[1] <= point.cost[0] and one.loss[1] < point.loss[0] for one in on)
        for place, point in enumerate(points)
        if place not in ahead
    )
    return ahead if apart and beaten else []


def _spread(row: TableRow, name: str) -> Spread:
    """Return a row's means and ranges, negated where more is better."""
    sign, loss = -COSTS[name][1], row.measured.metric.loss
    losses = [loss(score) for score in row.measured.scores.values()]
    each = [getattr(record, name) for record in row.measured.records.values()] if name != "parameters" else []
    costs = [sign * float(cost) for cost in each if cost] or [sign * _cost(row, name)]
    return Spread(
        runs=len(losses),
        means=(sign * _cost(row, name), loss(row.measured.mean or 0.0)),
        cost=(min(costs), max(costs)),
        loss=(min(losses), max(losses)),
    )


def _draw(axes: Axes, rows: Sequence[TableRow], name: str, metric: Metric) -> list[Text]:
    """Draw the rows, and return the names to be shown, each still at its point.

    Named are the rows with the best means and the baseline; with `FEW` rows or fewer, all.
    """
    label, sign = COSTS[name]
    points = [_spread(row, name) for row in rows]
    named, ahead = front([point.means for point in points]), clear_front(points)
    line = [points[place].means for place in ahead]
    axes.plot([abs(cost) for cost, _ in line], [metric.loss(loss) for _, loss in line], color=GRID, zorder=1)
    names = []
    for place, (row, point) in enumerate(zip(rows, points, strict=True)):
        cost, mean = point.means[0], metric.loss(point.means[1])
        baseline = row.measured.role == "baseline"
        colour = BETTER if place in ahead else INK if baseline else MUTED
        gid = hover(f"{said_by_seed(row)}; {abs(cost):,.0f} {label}")
        costs, scores = [abs(end) for end in point.cost], [metric.loss(end) for end in point.loss]
        for xs, ys in (([abs(cost)] * 2, scores), (costs, [mean] * 2)):
            axes.plot(xs, ys, color=colour, linewidth=0.8, alpha=0.5, gid=gid)
        axes.plot(abs(cost), mean, marker="D" if baseline else "o", markersize=4.5, color=colour, gid=gid)
        if place in named or baseline or len(rows) <= FEW:
            text = axes.text(abs(cost), mean, cut(row.name, 26), fontsize=6.5, color=colour, in_layout=False)
            names.append(text)
    axes.set_xlabel(f"{label} ({'more' if sign > 0 else 'fewer'} is better)")
    axes.set_ylabel(metric.heading + (" (higher is better)" if metric.higher_is_better else ""))
    axes.grid()
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: metric.written(value)))
    return names


def _cost(row: TableRow, name: str) -> float:
    return float(getattr(row.measured.cost, name) or 0)
