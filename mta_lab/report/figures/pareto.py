"""The score against what it costs: who is better and cheaper than everybody else."""

from collections.abc import Sequence

from adjustText import adjust_text
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator, StrMethodFormatter

from mta_lab.report import numbers
from mta_lab.report.figures.rows import ROOMY, cut, said_by_seed
from mta_lab.report.sections import NAMES
from mta_lab.report.table import Table, TableRow
from mta_lab.theme.style import BETTER, GRID, INK, MUTED, hover

COSTS = {"tokens_per_second": ("training tokens a second", 1), "parameters": ("parameters", -1)}
"""name -> label, and whether more of it is better (1) or worse (-1)"""
STEPS = (
    500  # in which names move off marks and each other, at most: no time, so that a table's figure is always the same
)


def pareto(table: Table, width: float) -> Figure | None:
    """The score against tokens a second and parameters, the Pareto front in colour; None before two rows have both."""
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
        _draw(axes, rows, name, table.sweep.quantity) for axes, (name, rows) in zip(panels, shown.items(), strict=True)
    ]
    figure.draw_without_rendering()  # from here on everything is where it stays
    for axes, texts in zip(panels, names, strict=True):
        _, *marks = axes.lines  # the first is the front's
        boxes = [mark.get_window_extent() for mark in marks]
        adjust_text(texts, objects=boxes, expand=(1.15, 1.9), force_static=(0.3, 0.6), iter_lim=STEPS, ax=axes)
    return figure


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The places of the points (cost, score), less is better in both, that no other point is as good as in both."""
    best, places = float("inf"), []
    for place in sorted(range(len(points)), key=points.__getitem__):
        if points[place][1] < best:
            best = points[place][1]
            places.append(place)
    return places


def _draw(axes: Axes, rows: Sequence[TableRow], name: str, quantity: str) -> list[Text]:
    """Draw the rows; returns the names of the front's and the baseline's, still at their points."""
    label, sign = COSTS[name]
    points = [(-sign * _cost(row, name), row.measured.mean or 0.0) for row in rows]
    ahead, names = front(points), []
    axes.plot([abs(points[place][0]) for place in ahead], [points[place][1] for place in ahead], color=GRID, zorder=1)
    for place, (row, (cost, mean)) in enumerate(zip(rows, points, strict=True)):
        baseline = row.measured.role == "baseline"
        colour = BETTER if place in ahead else INK if baseline else MUTED
        scores = row.measured.scores.values()
        gid = hover(f"{said_by_seed(row)}; {abs(cost):,.0f} {label}")
        axes.plot([abs(cost)] * 2, [min(scores), max(scores)], color=colour, linewidth=0.8, alpha=0.5, gid=gid)
        axes.plot(abs(cost), mean, marker="D" if baseline else "o", markersize=4.5, color=colour, gid=gid)
        if place in ahead or baseline:
            text = axes.text(abs(cost), mean, cut(row.name, 26), fontsize=6.5, color=colour, in_layout=False)
            names.append(text)
    axes.set_xlabel(f"{label} ({'more' if sign > 0 else 'fewer'} is better)")
    axes.set_ylabel(NAMES[quantity])
    axes.grid()
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.score(value, quantity).removesuffix(".00")))
    return names


def _cost(row: TableRow, name: str) -> float:
    return float(getattr(row.measured.cost, name) or 0)
