"""Draw each row's difference from its baseline: its interval, the noise, the paper's value."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mta_lab.report import numbers
from mta_lab.report.figures.rows import ROOMY, ROW, colour, finish, mark, name_rows, said
from mta_lab.report.table import Table, TableRow
from mta_lab.theme.style import BAND, MUTED, hover


def forest(table: Table, width: float) -> Figure | None:
    """Return the figure, or None where nothing is compared yet."""
    rows = [row for row in table.rows if row.measured.role != "baseline"]
    if not any(row.measured.contrast for row in rows):
        return None
    printed = [row for row in rows if row.published.delta is not None]
    roomy = width > ROOMY
    figure = Figure(figsize=(width, (ROW if roomy else 1.6 * ROW) * len(rows) + 0.75), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1.2)) if printed else [figure.subplots()]
    name_rows(panels[0], [row.name for row in rows], inside=not roomy)
    _ours(panels[0], table, rows)
    if printed:
        _theirs(panels[1], rows)
    return figure


def _ours(axes: Axes, table: Table, rows: list[TableRow]) -> None:
    metric, scale = table.sweep.metric, table.sweep.metric.scale
    for place, row in enumerate(rows):
        ours = row.measured
        if noise := table.comparison.noise.get(ours.baseline):
            axes.barh(place, 2 * noise.deviation, left=-noise.deviation, height=1.02, color=BAND, zorder=0)
        if contrast := ours.contrast:
            style = mark(ours)
            gid = hover(said(row))
            axes.plot([contrast.low, contrast.high], [place, place], color=style["color"], linewidth=1.2, gid=gid)
            axes.plot(contrast.delta, place, **style, gid=gid)
        else:
            axes.annotate("pending", (0, place), fontsize=7, color=MUTED, va="center", ha="center")
    against = f"against {table.baselines[0]}" if len(table.baselines) == 1 else "against each row's baseline"
    finish(axes, f"Ours, {table.sweep.scale}, {against}", scale, 6)
    compared = "difference, percentage points" if metric.is_share else f"difference in {metric.words}"
    shaded = "; shaded: the noise of one run" if table.comparison.noise else ""
    axes.set_xlabel(compared + shaded, loc="left")


def _theirs(axes: Axes, rows: list[TableRow]) -> None:
    scales = {row.published.scale for row in rows if row.published.delta is not None}
    for place, row in enumerate(rows):
        delta = row.published.delta
        if delta is not None:
            shade = colour(row.measured.metric, delta) if delta and not row.published.undecided else MUTED
            inside = "none" if row.published.undecided else shade
            gid = hover(f"{row.name}, the paper: {numbers.delta(delta, row.published.scale)}")
            axes.plot(delta, place, marker="D", markersize=4, color=shade, markerfacecolor=inside, gid=gid)
    axes.tick_params(axis="y", length=0)
    finish(axes, "The paper", scales.pop(), 3)
