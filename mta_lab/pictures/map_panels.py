"""Draw attention maps as heat maps with tokens on their axes, and choose the head to show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from torch import Tensor

from mta_lab.errors import UserError
from mta_lab.pictures.kernels import largest
from mta_lab.pictures.maps import LayerMaps, on_range
from mta_lab.pictures.output import DIVERGING, MARK, Panel
from mta_lab.pictures.reading import Reading
from mta_lab.theme.style import INK, MUTED

TOKEN = 0.15  # inches a token takes on an axis
SMALLEST, LARGEST = 3.5, 24.0  # inches of a map


@dataclass(frozen=True, kw_only=True)
class Head:
    """A head of a layer; both count from 1."""

    layer: int
    head: int


def telling(maps: Sequence[LayerMaps], reading: Reading) -> dict[str, Tensor]:
    """Return measures [layers, heads] of how clearly each head attends; the last one chooses.

    Where a question asks for a block, the measure is the attention on the block at the first query
    of the answer. The block has to be found there; the rest of the answer could be copied letter by
    letter.
    """
    if not reading.target:
        return {"distance of the maps before and after": torch.stack([layer.moved() for layer in maps])}
    first = range(reading.queries.start, reading.queries.start + 1)
    return {
        "before the operations": torch.stack([on_range(layer.before, first, reading.target) for layer in maps]),
        "after the operations": torch.stack([on_range(layer.after, first, reading.target) for layer in maps]),
    }


def choose(maps: Sequence[LayerMaps], reading: Reading, layer: int | None, head: int | None) -> Head:
    """Return the head with the highest measure among those that `layer` and `head` leave open.

    Layers with score operations are preferred.

    Raises:
        UserError: the model has no such layer or head.
    """
    values_LM = [*telling(maps, reading).values()][-1]
    for name, given, count in (("--layer", layer, values_LM.shape[0]), ("--head", head, values_LM.shape[1])):
        if given is not None and not 1 <= given <= count:
            raise UserError(f"{name}: got {given}, allowed: 1 to {count}")
    changing = [one.layer for one in maps if one.operations] or [one.layer for one in maps]
    allowed_LM = torch.zeros_like(values_LM, dtype=torch.bool)
    for number in changing if layer is None else [layer]:
        allowed_LM[number - 1, slice(None) if head is None else head - 1] = True
    place = int(values_LM.masked_fill(~allowed_LM, -torch.inf).argmax())
    return Head(layer=place // values_LM.shape[1] + 1, head=place % values_LM.shape[1] + 1)


def map_panel(maps: LayerMaps, head: int, reading: Reading) -> Panel:
    """Return a panel of a head's map before and after its layer's operations, or of its one map."""
    drawn = {"the attention map": maps.before[head - 1]}
    if maps.operations:
        titles = "before the operations: softmax(QK / √d)", "after the operations: the weights of the values"
        drawn = dict(zip(titles, (maps.before[head - 1], maps.after[head - 1]), strict=True))
    side = min(LARGEST, max(SMALLEST, TOKEN * len(reading.labels)))
    end = largest(drawn.values())

    def draw(figure: Figure | SubFigure) -> None:
        axes = figure.subplots(1, len(drawn), squeeze=False)[0]
        for ax, (title, map_QK) in zip(axes, drawn.items(), strict=True):
            image = ax.imshow(map_QK.numpy(), cmap=DIVERGING, vmin=-end, vmax=end, interpolation="nearest")
            ax.set(title=title, xlabel="key", ylabel="query")
            _tokens(ax, reading)
            _frame(ax, reading)
        figure.colorbar(image, ax=axes, shrink=0.6, label="attention")

    acting = f"Score operations: {', '.join(maps.operations) or 'none'}."
    frame = " Framed: the block that the question asks for, at the queries that predict the answer."
    about = f"Text: {reading.text!r}. {acting} Both have one scale; zero is white.{frame if reading.target else ''}"
    return Panel(
        title=f"Layer {maps.layer}, head {head}",
        about=about,
        size=(len(drawn) * (side + 0.4) + 0.8, side + 0.5),
        draw=draw,
    )


def head_panel(maps: Sequence[LayerMaps], chosen: Head, reading: Reading) -> Panel:
    """Return a panel of the measures of all heads, with the chosen one framed."""
    numbers = telling(maps, reading)
    layers, heads = len(maps), len(maps[0].after)
    end = largest(numbers.values())

    def draw(figure: Figure | SubFigure) -> None:
        for ax, (name, values_LM) in zip(
            figure.subplots(1, len(numbers), squeeze=False)[0], numbers.items(), strict=True
        ):
            extent = (0.5, heads + 0.5, layers + 0.5, 0.5)
            ax.imshow(values_LM.numpy(), cmap=DIVERGING, vmin=-end, vmax=end, extent=extent)
            for (layer, head), value in np.ndenumerate(values_LM.numpy()):
                colour = "white" if abs(value) > 0.7 * end else "black"
                ax.text(head + 1, layer + 1, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
            corner = chosen.head - 0.5, chosen.layer - 0.5
            ax.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=MARK, linewidth=2))
            ax.set(title=name, xlabel="head", ylabel="layer")
            ax.set(xticks=range(1, heads + 1), yticks=range(1, layers + 1))

    asked = "Attention on the block that the question asks for, at the query that predicts the answer's first letter."
    far = "Change of the map by the operations: half the sum of absolute differences in a row, mean over the rows."
    return Panel(
        title="Every head",
        about=f"{asked if reading.target else far} Framed: the head above.",
        size=(len(numbers) * max(3.0, 0.45 * heads + 0.8), max(1.4, 0.45 * layers + 0.8)),
        draw=draw,
    )


def _tokens(ax: Axes, reading: Reading) -> None:
    """Write the tokens along both axes, with the block and the answer's queries in bold."""
    places = range(len(reading.labels))
    upright = all(len(label) == 1 for label in reading.labels)
    ax.set_xticks(places, reading.labels, rotation=0 if upright else 90, fontsize=7, family="monospace")
    ax.set_yticks(places, reading.labels, fontsize=7, family="monospace")
    ax.tick_params(length=0, pad=2)
    if reading.target:
        for axis, marked in ((ax.xaxis, reading.target), (ax.yaxis, reading.queries)):
            for place, label in enumerate(axis.get_ticklabels()):
                label.set(color=INK, weight="bold") if place in marked else label.set(color=MUTED)


def _frame(ax: Axes, reading: Reading) -> None:
    """Frame the entries where the answer's queries meet the block."""
    if reading.target:
        corner = reading.target.start - 0.5, reading.queries.start - 0.5
        frame = Rectangle(corner, len(reading.target), len(reading.queries), fill=False, edgecolor=MARK, linewidth=1.5)
        ax.add_patch(frame)
