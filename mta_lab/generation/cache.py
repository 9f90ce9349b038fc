"""Keep of the tokens that a decoder has read what it needs to read further ones.

Shapes: B batch, n new tokens, d head width.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from components.attention import Core, LayerCache


class Cache:
    """The caches of all layers, or the tokens themselves where a layer cannot be cached.

    `Decoder.new_cache` makes one, and each `decoder(tokens_Bn, cache)` adds to it. Chunks of any
    sizes give the logits of the whole.
    """

    def __init__(self, layers: Sequence[nn.Module], padding: Sequence[int] = ()) -> None:
        self.padding = tuple(padding)
        """of each sequence, how many of its first tokens are padding; empty where none has any"""
        self.uncached = next((f"layer {n}: {why}" for n, layer in enumerate(layers, 1) if (why := _why(layer))), None)
        """why each call computes all earlier tokens anew; None where none does"""
        cores = [layer for layer in layers if isinstance(layer, Core)]
        self.layers = [] if self.uncached else [LayerCache(core.earlier_queries(), self.padding) for core in cores]
        """empty where earlier tokens are computed anew"""
        self.read: Tensor | None = None
        """the tokens so far [B, T], where they are computed anew"""
        self.tokens = 0
        """T, tokens of each sequence so far, those of the padding too"""

    def of(self, rows_B: Tensor) -> "Cache":
        """Return a cache of these sequences, any of them several times.

        So beams are chosen, and several answers to one text are read.
        """
        found = Cache([], [self.padding[row] for row in rows_B.tolist()] if self.padding else ())
        found.uncached, found.tokens = self.uncached, self.tokens
        found.layers = [layer.of(rows_B) for layer in self.layers]
        found.read = None if self.read is None else self.read.index_select(0, rows_B)
        return found

    def longest(self, new: int) -> int:
        """Return the tokens of the longest sequence, without padding, after `new` further ones."""
        return self.tokens + new - min(self.padding, default=0)

    def places(self, new: int, device: torch.device) -> Tensor:
        """Return the positions of the next tokens: [n], or [B, n] where some begin with padding."""
        places_n = torch.arange(self.tokens, self.tokens + new, device=device)
        if not self.padding:
            return places_n
        return (places_n - torch.tensor(self.padding, device=device)[:, None]).clamp(min=0)

    def anew(self, tokens_Bn: Tensor) -> Iterator[Tensor]:
        """Add the tokens to those that were read; yield each whole sequence without its padding."""
        self.read = tokens_Bn if self.read is None else torch.cat((self.read, tokens_Bn), dim=1)
        for row, sequence_T in enumerate(self.read):
            yield sequence_T[self.padding[row] if self.padding else 0 :]


def _why(layer: nn.Module) -> str | None:
    """Return why a layer cannot be cached, or None."""
    if not isinstance(layer, Core):
        return f"{type(layer).__name__} does not say what it reads of earlier tokens"
    return layer.uncached()
