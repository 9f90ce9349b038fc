"""Draw kernels and head matrices as heat maps, and sums over matrices as curves by layer."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from mta_lab.pictures.kernels import HeadMatrix, Kernel, largest
from mta_lab.pictures.output import DIVERGING, LINES, MARK, MISSING, Panel
from mta_lab.theme.style import MUTED

FEW_HEADS = 8  # with no more heads than these, a matrix shows its numbers
DASHES = {"before": "-", "after": "--"}


def kernel_panel(kernels: Sequence[Kernel]) -> Panel:
    """Return a panel of all kernels on one scale: layers and operations by heads."""
    rows: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        rows.setdefault(_row(kernel, kernels), []).append(kernel)
    columns = max(len(row) for row in rows.values())
    queries, keys = (max(kernel.values.shape[axis] for kernel in kernels) for axis in (0, 1))
    width, height = 1.9, max(0.4, 1.9 * queries / keys) + 0.5
    end = largest(kernel.values for kernel in kernels)

    def draw(figure: Figure | SubFigure) -> None:
        axes = figure.subplots(len(rows), columns, squeeze=False)
        for (name, row), line in zip(rows.items(), axes, strict=True):
            for kernel, ax in zip(row, line, strict=False):
                image = _kernel(ax, kernel, end)
                ax.set_title(f"head {kernel.reads}")
            for ax in line[len(row) :]:
                ax.set_axis_off()
            line[0].set_ylabel(f"{name}\nquery")
        for ax in axes[-1]:
            ax.set_xlabel("key")
        figure.colorbar(image, ax=axes, shrink=0.8, label="theta")

    about = (
        "The kernel theta of each head, before or after the softmax, as it is placed on the map. Queries and keys are "
        "counted from the entry that it computes (framed): rows above the frame are earlier queries, columns to its "
        "left earlier keys, to its right later keys. All have one scale; zero is white."
    )
    return Panel(
        title="Key-query kernels",
        about=about,
        size=(columns * width + 1.6, len(rows) * height + 0.2),
        draw=draw,
    )


def matrix_panel(matrices: Sequence[HeadMatrix]) -> Panel:
    """Return a panel of all head matrices on one scale: a row an operation, a column a layer."""
    places = list(dict.fromkeys((matrix.place, matrix.number) for matrix in matrices))
    layers = sorted({matrix.layer for matrix in matrices})
    end = largest(matrix.values for matrix in matrices)

    def draw(figure: Figure | SubFigure) -> None:
        axes = figure.subplots(len(places), len(layers), squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        for matrix in matrices:
            ax = axes[places.index((matrix.place, matrix.number)), layers.index(matrix.layer)]
            ax.set_axis_on()
            image = _matrix(ax, matrix, end)
            title = f"layer {matrix.layer}, {_where(matrix, matrices)}"
            ax.set(title=title, xlabel="head, in", ylabel="head, out")
        figure.colorbar(image, ax=axes, shrink=0.8, label="weight")

    return Panel(
        title="Head-mixing matrices",
        about="The weight of each head's map (column) in each head's new map (row), at the same query and key. "
        "Training starts from the identity. Grey: heads of different groups, which are not mixed.",
        size=(len(layers) * 2.1 + 1.4, len(places) * 2.2),
        draw=draw,
    )


def curve_panel(runs: Mapping[str, Sequence[HeadMatrix]]) -> Panel:
    """Return a panel by layer of the diagonal's mean, and of off-diagonal over diagonal.

    Each of `runs` has a colour of its own.
    """

    def draw(figure: Figure | SubFigure) -> None:
        left, right = figure.subplots(1, 2)
        for colour, (name, matrices) in zip(cycle(LINES), runs.items(), strict=False):
            for place, number in dict.fromkeys((matrix.place, matrix.number) for matrix in matrices):
                found = [matrix for matrix in matrices if (matrix.place, matrix.number) == (place, number)]
                style: dict[str, Any] = {"color": colour, "linestyle": DASHES[place], "marker": "o", "markersize": 4}
                layers = [matrix.layer for matrix in found]
                label = f"{name}, {_where(found[0], matrices)}"
                left.plot(layers, [matrix.diagonal for matrix in found], label=label, **style)
                right.plot(layers, [matrix.ratio for matrix in found], **style)
        for ax, name in ((left, "mean of the diagonal"), (right, "off-diagonal / diagonal")):
            ax.set(xlabel="layer", ylabel=name)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.grid()
        left.axhline(1.0, color=MUTED, linewidth=0.8)
        right.axhline(0.0, color=MUTED, linewidth=0.8)
        figure.legend(*left.get_legend_handles_labels(), loc="outside right upper", frameon=False)

    return Panel(
        title="Head-mixing matrices by layer",
        about="Left: the mean of a matrix's diagonal. Right: the mean magnitude of its entries off the diagonal over "
        "that of the entries on it (our reading of the paper's Figures 16 and 17). Grey: the identity, from which "
        "training starts. The other lines are finished runs that differ from this one in the norm alone.",
        size=(9.5, 3.0),
        draw=draw,
    )


def _row(kernel: Kernel, among: Sequence[Kernel]) -> str:
    name = f"layer {kernel.layer}, {_where(kernel, among).replace(' the softmax', '')}"
    joint = any(other.head != other.reads for other in among)
    return f"{name}\nhead {kernel.head} reads" if joint else name


def _where(part: Kernel | HeadMatrix, among: Sequence[Kernel | HeadMatrix]) -> str:
    """Return an operation's place at the softmax, with its number where several are there."""
    several = any(other.place == part.place and other.number > 1 for other in among)
    return f"{part.place} the softmax" + (f" ({part.number})" if several else "")


def _kernel(ax: Axes, kernel: Kernel, end: float) -> Any:
    queries, keys = kernel.offsets
    extent = (keys[0] - 0.5, keys[-1] + 0.5, queries[-1] + 0.5, queries[0] - 0.5)
    image = ax.imshow(kernel.overlay().numpy(), cmap=DIVERGING, vmin=-end, vmax=end, extent=extent)
    ax.add_patch(Rectangle((-0.5, -0.5), 1, 1, fill=False, edgecolor=MARK, linewidth=1.5))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return image


def _matrix(ax: Axes, matrix: HeadMatrix, end: float) -> Any:
    whole = matrix.whole()
    heads = len(whole)
    image = ax.imshow(
        whole.numpy(),
        cmap=colormaps[DIVERGING].with_extremes(bad=MISSING),
        vmin=-end,
        vmax=end,
        extent=(0.5, heads + 0.5, heads + 0.5, 0.5),
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    if heads <= FEW_HEADS:
        for out, row in enumerate(whole, start=1):
            for of, value in enumerate(row, start=1):
                if not torch.isnan(value):
                    dark = "white" if abs(value) > 0.7 * end else "black"
                    ax.text(of, out, f"{value:.2f}", ha="center", va="center", fontsize=6, color=dark)
    return image
