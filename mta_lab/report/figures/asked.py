"""Draw what runs were asked, in the axes of the paper's Figures 3 and 8, and 5 (left) and 7."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from components.metrics import METRICS, Metric
from mta_lab.report.evaluated import Results, mean_of, over_seeds, results_of
from mta_lab.report.figures.rows import ROOMY
from mta_lab.report.table import Table
from mta_lab.results.evaluated import Evaluated, GroupScores
from mta_lab.theme.style import BETTER, INK, MUTED, hover

NEEDLES = re.compile(r"(?P<panel>\d+ needles?(?:, [\d,]+ tokens)?), (?P<at>\d+) %")
FACTS = re.compile(r"(?P<panel>task \d), (?P<at>[\d,]+)(?P<thousands>k| tokens around)")
MARKS = "osDv^<>P*X"
Runs = Mapping[str, Sequence[GroupScores]]
"""row -> the scores of its seeds"""
Panels = Mapping[str, Mapping[int, str]]
"""panel -> place on its axis -> group of questions"""


@dataclass(frozen=True)
class _Drawn:
    """The results of a table that are drawn, in panels."""

    results: Results
    runs: Runs
    panels: Panels
    metric: Metric
    baselines: frozenset[str]


def needles(table: Table, width: float) -> Figure | None:
    """Return a panel for each number of needles, and one of the means over depths by number.

    None where no run was asked. Of several settings, those that most runs were asked by are drawn.
    """
    drawn = _drawn(table, NEEDLES)
    if drawn is None:
        return None
    means = {
        re.sub(r" needles?(, )?", "\n", panel).replace(" tokens", "").strip(): [*groups.values()]
        for panel, groups in drawn.panels.items()
    }
    figure, axes = _figure(drawn, width, "depth, %", "a number of the text at random")
    _means(axes, drawn, means)
    axes.set_title("mean over depths", fontsize=7.5)
    axes.set_xlabel("needles")
    return figure


def facts(table: Table, width: float) -> Figure | None:
    """Return a panel for each task of BabiLong, and one of the means over tasks by length.

    None where no run was asked, as in `needles`.
    """
    drawn = _drawn(table, FACTS)
    if drawn is None:
        return None
    lengths = sorted({length for groups in drawn.panels.values() for length in groups})
    means = {
        f"{length:,}": [groups[length] for groups in drawn.panels.values() if length in groups] for length in lengths
    }
    figure, axes = _figure(drawn, width, "tokens around", "any label at random")
    _means(axes, drawn, means)
    axes.set_title("mean over tasks", fontsize=7.5)
    axes.set_xlabel("tokens around")
    return figure


def _drawn(table: Table, pattern: re.Pattern[str]) -> _Drawn | None:
    found = [one for one in results_of(table) if all(map(pattern.fullmatch, _first(one.any).scores))]
    if not found:
        return None
    results = max(found, key=lambda one: sum(map(len, one.rows.values())))
    panels: dict[str, dict[int, str]] = {}
    for match in filter(None, map(pattern.fullmatch, _first(results.any).scores)):
        at = int(match["at"].replace(",", "")) * (1000 if match.groupdict().get("thousands") == "k" else 1)
        panels.setdefault(match["panel"], {})[at] = match[0]
    return _Drawn(
        results=results,
        runs={row: [_first(one) for one in seeds.values()] for row, seeds in results.rows.items()},
        panels=panels,
        metric=METRICS[next(iter(results.any.metrics))],
        baselines=frozenset(row.name for row in table.rows if row.measured.role == "baseline"),
    )


def _first(evaluated: Evaluated) -> GroupScores:
    """Return the scores by the metric that rows are compared by."""
    return next(iter(evaluated.metrics.values()))


def _figure(drawn: _Drawn, width: float, label: str, floor: str) -> tuple[Figure, Axes]:
    """Return a figure with its panels drawn, and the axes behind them, which are still empty."""
    panels = drawn.panels
    columns = min(len(panels) + 1, 3 if width > ROOMY else 2)
    lines = -(-(len(panels) + 1) // columns)
    figure = Figure(figsize=(width, 1.5 * lines + 0.6), layout="constrained")
    places = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
    for axes, (panel, groups) in zip(places, panels.items(), strict=False):
        _curves(axes, drawn, groups)
        if by_group := drawn.results.any.floors.get(floor):
            at = sorted(groups)
            heights = [by_group[groups[place]] for place in at]
            axes.plot(at, heights, color=INK, linestyle=":", linewidth=0.8, label="floor")
        axes.set_title(panel, fontsize=7.5)
        axes.set_xlabel(label)
    for axes in places:
        axes.grid()
        axes.set_ylim(-0.04, 1.04)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    for axes in places[len(panels) + 1 :]:
        axes.set_visible(False)
    figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
    return figure, places[len(panels)]


def _curves(axes: Axes, drawn: _Drawn, groups: Mapping[int, str]) -> None:
    """Draw each row's means with their intervals over one panel's axis."""
    at = sorted(groups)
    for (row, seeds), mark in zip(drawn.runs.items(), cycle(MARKS), strict=False):
        means = [mean_of(drawn.metric, groups[place], seeds) for place in at]
        ends = [over_seeds(drawn.metric, groups[place], seeds, [*drawn.runs.values()]) for place in at]
        ink = MUTED if row in drawn.baselines else BETTER
        low, high = zip(*ends, strict=True)
        axes.fill_between(at, low, high, color=ink, alpha=0.12, linewidth=0)
        said = ", ".join(f"{groups[place]}: {100 * mean:.1f} %" for place, mean in zip(at, means, strict=True))
        axes.plot(at, means, color=ink, marker=mark, markersize=3, label=row, gid=hover(f"{row}: {said}"))
    axes.set_xticks(at)


def _means(axes: Axes, drawn: _Drawn, groups: Mapping[str, Sequence[str]]) -> None:
    """Draw each row's means over several groups, which stand above a name each."""
    places = range(len(groups))
    for (row, seeds), mark in zip(drawn.runs.items(), cycle(MARKS), strict=False):
        means = [fmean(mean_of(drawn.metric, group, seeds) for group in some) for some in groups.values()]
        axes.plot(places, means, color=MUTED if row in drawn.baselines else BETTER, marker=mark, markersize=3)
    axes.set_xticks([*places], [*groups])
