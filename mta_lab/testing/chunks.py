"""Read a batch in chunks with a cache, and each of its sequences at once, to compare the two.

Shapes: B batch, T tokens, D model width.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.attention import Core, LayerCache
from components.positions import Turns


def splits(tokens: int) -> dict[str, list[int]]:
    """Return four ways to read 8 tokens or more in chunks, by name: the sizes of the chunks."""
    return {
        "token by token": [1] * tokens,
        "a prompt, then token by token": [4] + [1] * (tokens - 4),
        "uneven chunks": [3, 1, tokens - 6, 2],
        "at once": [tokens],
    }


@torch.no_grad()
def in_chunks(
    layer: nn.Module,
    x_BTD: Tensor,
    rotary: Turns | None,
    sizes: Sequence[int],
    padding: Sequence[int] = (),
    fewer: int = 0,
) -> Tensor:
    """Return the output of a layer that reads chunks of these sizes, one after the other.

    Args:
        layer: an attention layer that can be cached.
        x_BTD: the sequences, after as many places of padding as `padding` says.
        rotary: the turns of T positions.
        sizes: of the chunks; together T.
        padding: how many of the first places of each sequence are padding.
        fewer: by how many queries the cache is too small, to see that it is not too large.
    """
    assert isinstance(layer, Core)
    cache = LayerCache(layer.earlier_queries() - fewer, padding)
    positions_BT = torch.stack([torch.arange(x_BTD.shape[1]) - pad for pad in padding or (0,)]).clamp(min=0)
    turns = rotary[positions_BT] if padding and rotary is not None else rotary
    chunks = [
        layer(x_BTD[:, start:stop], None if turns is None else turns[..., start:stop, :, :], cache)
        for start, stop in pairwise(accumulate(sizes, initial=0))
    ]
    return torch.cat(chunks, dim=1)


@torch.no_grad()
def each_alone(layer: nn.Module, x_BTD: Tensor, rotary: Turns | None, padding: Sequence[int]) -> Tensor:
    """Return the output for each sequence, read at once without its padding, where zeros are."""
    found = []
    for x_TD, pad in zip(x_BTD, padding, strict=True):
        y_1TD = layer(x_TD[None, pad:], None if rotary is None else rotary[: len(x_TD) - pad])
        found.append(F.pad(y_1TD, (0, 0, pad, 0)))
    return torch.cat(found)


def without_padding(y_BTD: Tensor, padding: Sequence[int]) -> Tensor:
    """Return the output with zeros at the padding, where it means nothing."""
    y_BTD = y_BTD.clone()
    for row, pad in enumerate(padding):
        y_BTD[row, :pad] = 0.0
    return y_BTD
