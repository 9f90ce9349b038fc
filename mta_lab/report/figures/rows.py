"""Draw what the figures of a table share: rows' names, colours and marks."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from components.metrics import Metric, Scale
from mta_lab.report import numbers
from mta_lab.report.measured import Measured
from mta_lab.report.table import TableRow
from mta_lab.theme.style import BETTER, INK, MUTED, WORSE

ROOMY = 5.0  # inches; a narrower figure is for a phone, or a column of a paper
ROW = 0.21  # inches of height that a row takes


def colour(metric: Metric, difference: float) -> str:
    """Return the colour of a difference from the baseline: better or worse."""
    return BETTER if metric.is_better(difference) else WORSE


def name_rows(axes: Axes, names: list[str], *, inside: bool) -> None:
    """Name the rows at heights 0, 1, ... from the top: left of the axis, or `inside` above each."""
    axes.set_ylim(len(names) - 0.5, -0.7 if inside else -0.5)
    axes.tick_params(axis="y", length=0)
    if inside:
        axes.set_yticks([])
        for place, name in enumerate(names):
            axes.annotate(name, (0, place - 0.3), xycoords=("axes fraction", "data"), fontsize=7, va="center")
        return
    axes.set_yticks(range(len(names)), names, fontsize=7.5, color=INK)


def said(row: TableRow) -> str:
    """Return a row's name, its delta and interval: the text shown when a pointer rests on it."""
    measured = row.measured
    if measured.contrast is None:
        return f"{row.name}: {measured.role}"
    scale, found = measured.metric.scale, measured.contrast
    delta, low, high = (numbers.delta(value, scale) for value in (found.delta, found.low, found.high))
    return f"{row.name}: {delta} [{low}, {high}], {measured.verdict or 'no verdict yet'}"


def said_by_seed(row: TableRow) -> str:
    """Return a row's name, its mean and the score of each seed."""
    measured = row.measured
    mean, *seeds = map(measured.metric.written, (measured.mean or 0, *measured.scores.values()))
    each = ", ".join(f"seed {seed}: {score}" for seed, score in zip(measured.scores, seeds, strict=True))
    return f"{row.name}: mean {mean}; {each}"


def cut(name: str, length: int) -> str:
    """Shorten a name to at most `length` characters."""
    return name if len(name) <= length else f"{name[: length - 1].rstrip()}…"


def mark(row: Measured) -> dict[str, Any]:
    """Return the style of a row's point.

    A resolved row has a full point, any other a hollow grey one; an A/A row has a square.
    """
    if row.resolved and row.called:
        return {"marker": "o", "color": colour(row.metric, row.called), "markersize": 4.5}
    return {"marker": "s" if row.role == "A/A" else "o", "color": MUTED, "markerfacecolor": "none", "markersize": 4}


def finish(axes: Axes, title: str, scale: Scale, ticks: int) -> None:
    """Give an axis of differences its title, a line at 0 and about so many ticks."""
    axes.axvline(0, color=INK, linewidth=0.7, zorder=1)
    axes.set_title(title)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, scale)))


def _tick(value: float, scale: Scale) -> str:
    if scale == "relative":
        return f"{100 * value:+.3g}%" if value else "0"
    return numbers.delta(value, scale) if value else "0"
