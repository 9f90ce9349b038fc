"""Draw the effects of factors with their intervals, ours beside the paper's."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from components.metrics import Metric
from mta_lab.report.effects import Half
from mta_lab.report.figures.rows import ROOMY, ROW, colour, finish, name_rows
from mta_lab.report.numbers import delta
from mta_lab.report.table import Table
from mta_lab.theme.style import MUTED, hover


def effects(table: Table, width: float) -> Figure | None:
    """Return the figure, or None where the table's rows are no factorial."""
    found = table.effects
    if found is None:
        return None
    metric, roomy = table.sweep.metric, width > ROOMY
    figure = Figure(figsize=(width, (ROW if roomy else 1.6 * ROW) * len(found.effects) + 0.75), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1.8)) if found.paper else [figure.subplots()]
    name_rows(panels[0], [effect.name for effect in found.effects], inside=not roomy)
    for place, effect in enumerate(found.effects):
        _draw(panels[0], place, effect.ours, metric, f"{effect.name}, ours", full=effect.resolved)
        if effect.paper:
            apart = effect.paper.low > 0 or effect.paper.high < 0
            _draw(panels[1], place, effect.paper, metric, f"{effect.name}, the paper", full=apart)
    finish(panels[0], f"Ours, {table.sweep.scale}", metric.scale, 6)
    unit = "percentage points" if metric.is_share else metric.words
    panels[0].set_xlabel(f"effect on {unit}, against {found.design.baseline}'s setting", loc="left")
    if found.paper:
        panels[1].tick_params(axis="y", length=0)
        finish(panels[1], "The paper", metric.scale, 4)
    return figure


def _draw(axes: Axes, place: int, half: Half, metric: Metric, name: str, *, full: bool) -> None:
    shade = colour(metric, half.value) if full else MUTED
    value, low, high = (delta(one, metric.scale) for one in (half.value, half.low, half.high))
    gid = hover(f"{name}: {value} [{low}, {high}]")
    axes.plot([half.low, half.high], [place, place], color=shade, linewidth=1.2, gid=gid)
    inside = shade if full else "none"
    axes.plot(half.value, place, marker="o", color=shade, markerfacecolor=inside, markersize=4.5, gid=gid)
