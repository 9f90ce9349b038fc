"""Draw each row's score over the values of the setting that was tuned."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from mta_lab.report.figures.curves import panels
from mta_lab.report.table import Table, TableRow
from mta_lab.sweep.tune import Curve
from mta_lab.theme.style import BETTER, INK, MUTED, hover


def tuning(table: Table, width: float) -> Figure | None:
    """Draw a panel for each row, with a full point at its best value and the baseline in grey."""
    found = table.sweep.tuning
    curves = found.curves if found else {}
    shown = [row for row in table.rows if row.name in curves and _points(curves[row.name])]
    if not found or not shown:
        return None
    metric = table.sweep.validated_by
    ticks = sorted({value for row in shown for value, _ in _points(curves[row.name])})

    def draw(axes: Axes, row: TableRow) -> None:
        base, curve = curves.get(row.measured.baseline), curves[row.name]
        if base and _points(base):
            axes.plot(*zip(*_points(base), strict=True), color=MUTED, linewidth=1)
        points = _points(curve)
        gid = hover(f"{row.name}: " + ", ".join(f"{value:g}: {metric.written(score)}" for value, score in points))
        colour = INK if row.measured.role == "baseline" else BETTER
        axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3, markerfacecolor="white", gid=gid)
        best = [(value, score) for value, score in points if value == curve.best]
        axes.plot(*zip(*best, strict=True), color=colour, marker="o", markersize=4, gid=gid) if best else None
        axes.set_xscale("log")
        axes.set_xticks(ticks)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))

    return panels(shown, width, draw, f"{metric.words} by {found.tune.key}", counts=False)


def _points(curve: Curve) -> list[tuple[float, float]]:
    return [(point.value, point.score) for point in curve.points if point.score is not None]
