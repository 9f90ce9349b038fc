"""The score against what it costs: who is better and cheaper than everybody else."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, MaxNLocator, StrMethodFormatter
from matplotlib.transforms import Bbox

from mta_lab.report import numbers
from mta_lab.report.figures.rows import ROOMY, cut
from mta_lab.report.sections import NAMES
from mta_lab.report.table import Table, TableRow
from mta_lab.theme.style import BETTER, GRID, INK, MUTED

COSTS = {"tokens_per_second": ("training tokens a second", 1), "parameters": ("parameters", -1)}
"""name -> label, and whether more of it is better (1) or worse (-1)"""
PLACES = [(side, height) for height in (4, -4, 9, -9, 0, 14, -14) for side in (5, -5)]
"""points from a mark to where its name may begin or end, the best first"""


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
    panels = figure.subplots(lines, columns, squeeze=False, sharey=roomy).flat
    names = [
        _draw(axes, rows, name, table.sweep.quantity) for axes, (name, rows) in zip(panels, shown.items(), strict=True)
    ]
    figure.draw_without_rendering()  # from here on everything is where it stays
    for panel in names:
        _place(panel)
    return figure


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The places of the points (cost, score), less is better in both, that no other point is as good as in both."""
    best, places = float("inf"), []
    for place in sorted(range(len(points)), key=points.__getitem__):
        if points[place][1] < best:
            best = points[place][1]
            places.append(place)
    return places


def _draw(axes: Axes, rows: Sequence[TableRow], name: str, quantity: str) -> list[Annotation]:
    """Draw the rows; returns the names of the front's and the baseline's, still at their points."""
    label, sign = COSTS[name]
    points = [(-sign * _cost(row, name), row.measured.mean or 0.0) for row in rows]
    ahead, names = front(points), []
    axes.plot([abs(points[place][0]) for place in ahead], [points[place][1] for place in ahead], color=GRID, zorder=1)
    for place, (row, (cost, mean)) in enumerate(zip(rows, points, strict=True)):
        baseline = row.measured.role == "baseline"
        colour = BETTER if place in ahead else INK if baseline else MUTED
        scores = row.measured.scores.values()
        axes.plot([abs(cost)] * 2, [min(scores), max(scores)], color=colour, linewidth=0.8, alpha=0.5)
        axes.plot(abs(cost), mean, marker="D" if baseline else "o", markersize=4.5, color=colour)
        if place in ahead or baseline:
            names.append(Annotation(cut(row.name, 26), (abs(cost), mean), (0, 0), textcoords="offset points"))
            names[-1].set(fontsize=6.5, color=colour, va="center", in_layout=False)
            axes.add_artist(names[-1])
    axes.set_xlabel(f"{label} ({'more' if sign > 0 else 'fewer'} is better)")
    axes.set_ylabel(NAMES[quantity])
    axes.grid()
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.score(value, quantity).removesuffix(".00")))
    return names


def _place(names: Sequence[Annotation]) -> None:
    """Move each name to where it lies on the fewest marks, lines and other names."""
    taken: list[Bbox] = []
    for name in names:
        _move(name, min(PLACES, key=lambda place: _clashes(name, place, taken)))
        taken.append(_box(name))


def _move(name: Annotation, place: tuple[float, float]) -> None:
    name.set(position=place, ha="left" if place[0] > 0 else "right")


def _clashes(name: Annotation, place: tuple[float, float], taken: Sequence[Bbox]) -> int:
    """How much a name there would lie on; most of all beyond its panel."""
    _move(name, place)
    box, axes = _box(name), name.axes
    assert axes
    lines = [line.get_transform().transform_path(line.get_path()) for line in axes.lines]
    crossed = sum(line.intersects_bbox(box, filled=False) or box.count_contains(line.vertices) > 0 for line in lines)
    outside = not all(axes.bbox.contains(*corner) for corner in box.corners())
    return crossed + box.count_overlaps(taken) + len(lines) * outside


def _box(name: Annotation) -> Bbox:
    """Where a name is, in pixels, with a little room around it."""
    return Bbox(name.get_window_extent().padded(2))


def _cost(row: TableRow, name: str) -> float:
    return float(getattr(row.measured.cost, name) or 0)
