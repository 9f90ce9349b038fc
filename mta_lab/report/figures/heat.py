"""Draw a grid of key-query kernels as a heat map, queries by keys."""

import json
from collections import defaultdict
from itertools import product

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mta_lab.config import flatten
from mta_lab.report import numbers
from mta_lab.report.figures.rows import colour, said
from mta_lab.report.measured import Measured
from mta_lab.report.table import Table
from mta_lab.theme.style import GRID, INK, MUTED, hover

KERNEL = "attention.pre_softmax.0.kernel"
Grid = dict[tuple[int, int], Measured]
"""(c_q, c_k) -> the row's measurements"""


def heat(table: Table, width: float) -> Figure | None:
    """Draw the difference from the baseline over c_q and c_k.

    None for a sweep whose rows are no full grid of kernel sizes.
    """
    grid = kernel_grid(table)
    if not grid:
        return None
    queries, keys = (sorted({kernel[side] for kernel in grid}) for side in (0, 1))
    scale = table.sweep.metric.scale
    most = max((abs(row.contrast.delta) for row in grid.values() if row.contrast), default=0.0) or 1.0
    width = min(width, 1.2 + 1.1 * len(keys))
    figure = Figure(figsize=(width, 0.8 + 0.5 * len(queries)), layout="constrained")
    axes = figure.subplots()
    names = {id(row.measured): row for row in table.rows}
    for (c_q, c_k), row in grid.items():
        x, y = keys.index(c_k), queries.index(c_q)
        gid = hover(said(names[id(row)]))
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor="none", edgecolor=GRID, gid=gid))
        delta = row.contrast.delta if row.contrast else None
        if delta is not None:
            axes.add_patch(
                Rectangle((x, y), 1, 1, facecolor=colour(row.metric, delta), alpha=0.75 * abs(delta) / most, gid=gid)
            )
        text = (
            "baseline" if row.role == "baseline" else numbers.or_dash(delta, lambda delta: numbers.delta(delta, scale))
        )
        weight = "bold" if row.resolved else "normal"
        axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=7.5, weight=weight, color=INK)
    axes.set(xlim=(0, len(keys)), ylim=(len(queries), 0), xlabel="keys c_k", ylabel="queries c_q")
    axes.set_xticks([x + 0.5 for x in range(len(keys))], map(str, keys))
    axes.set_yticks([y + 0.5 for y in range(len(queries))], map(str, queries))
    axes.tick_params(length=0, labelcolor=MUTED)
    axes.spines[:].set_visible(False)
    axes.set_title(f"{table.sweep.title}: difference from the baseline; bold: resolved", fontsize=7.5)
    return figure


def kernel_grid(table: Table) -> Grid:
    """Return the rows that differ in their one kernel alone and form a full grid, or none.

    A grid has at least two sizes in each direction.
    """
    groups: dict[str, Grid] = defaultdict(dict)
    for row, shown in zip(table.sweep.rows, table.rows, strict=True):
        settings = flatten(row.config)
        if kernel := settings.pop(KERNEL, None):
            groups[json.dumps(settings)][tuple(kernel)] = shown.measured
    for grid in groups.values():
        queries, keys = ({kernel[side] for kernel in grid} for side in (0, 1))
        if min(len(queries), len(keys)) > 1 and set(product(queries, keys)) == grid.keys():
            return grid
    return {}
