"""Draw each row's difference from its baseline, one small panel a domain."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mta_lab.report import numbers
from mta_lab.report.figures.rows import ROOMY, ROW, colour, cut, name_rows
from mta_lab.report.table import Table, TableRow
from mta_lab.theme.style import INK, MUTED, PAPER, hover

MOST = 20  # panels; the groups of a synthetic task are drawn by `needles`


def domains(table: Table, width: float) -> Figure | None:
    """Return the figure, or None for one domain or very many, or a baseline without scores."""
    by_name = {row.name: row for row in table.rows}
    bases = {row.name: by_name[row.measured.baseline] for row in table.rows}
    rows = [row for row in table.rows if row.measured.role != "baseline" and row.measured.domains]
    names = list(dict.fromkeys(name for row in rows for name in row.measured.domains))
    if not 2 <= len(names) <= MOST or not any(bases[row.name].measured.domains for row in rows):
        return None
    roomy = width > ROOMY
    columns = len(names) if roomy else 2
    lines = math.ceil(len(names) / columns)
    figure = Figure(figsize=(width, lines * (0.8 * ROW * len(rows) + 0.55) + 0.3), layout="constrained")
    places = list(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axes, name in zip(places, names, strict=False):
        for place, row in enumerate(rows):
            _draw(axes, row, bases[row.name], name, place)
        axes.set_title(name, fontsize=7.5)
        axes.axvline(0, color=INK, linewidth=0.7)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(2 if roomy else 4, symmetric=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+.3g}" if value else "0"))
        axes.tick_params(labelbottom=True)
    for axes in places[len(names) :]:
        axes.set_visible(False)
    labels = [row.name if roomy else cut(row.name, 20) for row in rows]
    name_rows(figure.axes[0], labels, inside=False)
    printed = "; purple: the paper's" if any(row.published.domains for row in rows) else ""
    figure.supxlabel(
        f"difference from the baseline, {'points' if table.sweep.metric.is_share else '%'}{printed}",
        fontsize=7.5,
        color=MUTED,
    )
    return figure


def _draw(axes: Axes, row: TableRow, base: TableRow, domain: str, place: int) -> None:
    metric = row.measured.metric
    theirs = metric.difference_if_known(row.published.domains.get(domain), base.published.domains.get(domain))
    if theirs is not None:
        gid = hover(f"{row.name}, {domain}, the paper: {numbers.delta(theirs, metric.scale)}")
        axes.plot(theirs, place, marker="D", markersize=3.5, color=PAPER, markerfacecolor="none", gid=gid)
    ours = metric.difference_if_known(row.measured.domains.get(domain), base.measured.domains.get(domain))
    if ours is not None:
        gid = hover(f"{row.name}, {domain}: {numbers.delta(ours, metric.scale)}")
        axes.plot([0, ours], [place, place], color=colour(metric, ours), linewidth=0.8, alpha=0.5, gid=gid)
        axes.plot(ours, place, marker="o", markersize=3, color=colour(metric, ours), gid=gid)
