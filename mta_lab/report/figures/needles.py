"""Draw how often needles are found, by depth and by their number (2504.00927, Figures 3 and 8)."""

import re
from collections.abc import Mapping, Sequence
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

GROUP = re.compile(r"(?P<texts>(?P<count>\d+) needles?(?:, [\d,]+ tokens)?), (?P<depth>\d+) %")
MARKS = "osDv^<>P*X"
FLOOR = "a number of the text at random"
Runs = Mapping[str, Sequence[GroupScores]]
"""row -> the scores of its seeds"""


def needles(table: Table, width: float) -> Figure | None:
    """Return a panel for each number of needles, and one of the means over depths by number.

    None where no run was asked. Of several settings, those that most runs were asked by are drawn.
    """
    found = [one for one in results_of(table) if all(map(GROUP.fullmatch, _first(one.any).scores))]
    if not found:
        return None
    results = max(found, key=lambda one: sum(map(len, one.rows.values())))
    runs = {row: [_first(one) for one in seeds.values()] for row, seeds in results.rows.items()}
    metric = METRICS[next(iter(results.any.metrics))]
    groups: dict[str, dict[int, str]] = {}
    for match in filter(None, map(GROUP.fullmatch, _first(results.any).scores)):
        groups.setdefault(match["texts"], {})[int(match["depth"])] = match[0]
    columns = min(len(groups) + 1, 3 if width > ROOMY else 2)
    lines = -(-(len(groups) + 1) // columns)
    figure = Figure(figsize=(width, 1.5 * lines + 0.6), layout="constrained")
    places = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
    baselines = {row.name for row in table.rows if row.measured.role == "baseline"}
    for axes, (texts, depths) in zip(places, groups.items(), strict=False):
        _by_depth(axes, metric, depths, runs, baselines)
        _floor(axes, depths, results)
        axes.set_title(texts, fontsize=7.5)
        axes.set_xlabel("depth, %")
    _by_number(places[len(groups)], metric, groups, runs, baselines)
    for axes in places:
        axes.grid()
        axes.set_ylim(-0.04, 1.04)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    for axes in places[len(groups) + 1 :]:
        axes.set_visible(False)
    figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
    return figure


def _first(evaluated: Evaluated) -> GroupScores:
    """Return the scores by the metric that rows are compared by."""
    return next(iter(evaluated.metrics.values()))


def _by_depth(axes: Axes, metric: Metric, depths: Mapping[int, str], runs: Runs, baselines: set[str]) -> None:
    at = sorted(depths)
    for (row, seeds), mark in zip(runs.items(), cycle(MARKS), strict=False):
        means = [mean_of(metric, depths[depth], seeds) for depth in at]
        ends = [over_seeds(metric, depths[depth], seeds, [*runs.values()]) for depth in at]
        ink = MUTED if row in baselines else BETTER
        low, high = zip(*ends, strict=True)
        axes.fill_between(at, low, high, color=ink, alpha=0.12, linewidth=0)
        said = ", ".join(f"{depth} %: {100 * mean:.1f} %" for depth, mean in zip(at, means, strict=True))
        axes.plot(at, means, color=ink, marker=mark, markersize=3, label=row, gid=hover(f"{row}: {said}"))
    axes.set_xticks(at)


def _floor(axes: Axes, depths: Mapping[int, str], results: Results) -> None:
    if floor := results.any.floors.get(FLOOR):
        at = sorted(depths)
        axes.plot(at, [floor[depths[depth]] for depth in at], color=INK, linestyle=":", linewidth=0.8, label="floor")


def _by_number(
    axes: Axes, metric: Metric, groups: Mapping[str, Mapping[int, str]], runs: Runs, baselines: set[str]
) -> None:
    """Draw each row's mean over the depths, by the number of needles and the length of texts."""
    places = range(len(groups))
    for (row, seeds), mark in zip(runs.items(), cycle(MARKS), strict=False):
        means = [fmean(mean_of(metric, group, seeds) for group in depths.values()) for depths in groups.values()]
        axes.plot(places, means, color=MUTED if row in baselines else BETTER, marker=mark, markersize=3)
    names = [re.sub(r" needles?(, )?", "\n", texts).replace(" tokens", "").strip() for texts in groups]
    axes.set_xticks([*places], names)
    axes.set_title("mean over depths", fontsize=7.5)
    axes.set_xlabel("needles")
