"""Draw cost as curves, in SVG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import ticker
from matplotlib.figure import Figure

from mta_lab.bench.op import BASELINE, BOTH
from mta_lab.bench.results import Comparison
from mta_lab.theme.style import MUTED, save, styled

COLOURS = {"sdpa": "#555555", "eager": "#c1121f", "streaming": "#e09f3e", "fused": "#00798c"}

TOKENS = "tokens T"


class Point(NamedTuple):
    """A contestant's point on a curve."""

    x: int
    milliseconds: float
    low: float
    high: float
    ratio: float


def against_tokens(file: Path, course: Sequence[Comparison], foot: str) -> None:
    """Draw cost against the number of tokens T."""
    marks = {one.settings["tokens"]: str(one.settings["tokens"]) for one in course}
    places = [one.settings["tokens"] for one in course]
    sizes = "B{batch} M{heads} d{width}".format(**course[0].settings)
    _draw(file, course, places, marks, (f"mta ({BOTH}), {sizes}", TOKENS, foot))


def against_kernels(file: Path, course: Sequence[Comparison], foot: str) -> None:
    """Draw cost against the size c_q x c_k of the kernel."""
    places = [one.settings["kernel"][0] * one.settings["kernel"][1] for one in course]
    kernels = ("{}x{}".format(*one.settings["kernel"]) for one in course)
    sizes = "B{batch} M{heads} T{tokens} d{width}".format(**course[0].settings)
    title = f"key-query convolution before the softmax ({BOTH}), {sizes}"
    _draw(file, course, places, dict(zip(places, kernels, strict=True)), (title, "kernel c_q x c_k", foot))


@styled()
def _draw(
    file: Path, course: Sequence[Comparison], places: Sequence[int], marks: dict[int, str], texts: tuple[str, str, str]
) -> None:
    """Draw time on the left and its ratio to the baseline on the right; bands are quartiles."""
    title, label, foot = texts
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in dict.fromkeys(one.name for comparison in course for one in comparison.contestants):
        points = _points(course, places, name)
        style: dict[str, Any] = {"color": COLOURS.get(name), "label": name, "marker": "o", "markersize": 4}
        x = [point.x for point in points]
        left.plot(x, [point.milliseconds for point in points], **style)
        band = [point.low for point in points], [point.high for point in points]
        left.fill_between(x, *band, color=COLOURS.get(name), alpha=0.2, linewidth=0)
        right.plot(x, [point.ratio for point in points], **style)
    for axes, name in ((left, "milliseconds"), (right, f"times {BASELINE}")):
        axes.set(xscale="log" if label == TOKENS else "linear", yscale="log", xlabel=label, ylabel=name)
        axes.set_xticks(list(marks), list(marks.values()))
        axes.minorticks_off()
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axes.grid()
    left.legend()
    figure.suptitle(title)
    figure.supxlabel(foot, fontsize=7, color=MUTED)
    save(figure, file)


def _points(course: Sequence[Comparison], places: Sequence[int], name: str) -> list[Point]:
    """Return a contestant's points, where it took part."""
    points = []
    for comparison, x in zip(course, places, strict=True):
        for one in comparison.contestants:
            ratio = comparison.ratio(one, BOTH)
            if one.name == name and ratio is not None:
                low, high = (1e3 * value for value in one.measures[BOTH].quartiles)
                points.append(Point(x, 1e3 * one.measures[BOTH].median, low, high, ratio))
    return points
