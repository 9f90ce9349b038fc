"""Keep of earlier tokens what attention reads again: all keys and values, and the last queries.

Row i of the output reads `reach(post)` earlier rows of the weights, and each of these `reach(pre)`
earlier rows of the logits, which queries and keys give. So a layer keeps as many queries as both
together: 2 (c_q - 1) where a convolution stands before and after the softmax, none without one.

Shapes: B batch, M heads, N key-value heads, n new tokens, K tokens held, Q queries, d head width.
"""

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from components.kernels.last_rows import Recent


class LayerCache:
    """The keys, values and last queries of one layer; its tensors hold no gradient."""

    def __init__(self, earlier_queries: int = 0, padding: Sequence[int] = ()) -> None:
        self.earlier_queries = earlier_queries
        """how many queries are kept, those of the last tokens"""
        self.padding = tuple(padding)
        """of each sequence, how many of its first tokens are none; empty where all are"""
        self.tokens = 0
        """K, how many tokens have been read, those of the padding too"""
        self.recent: Recent | None = None
        """rows of the map that operations read again, where the last token came alone: without
        them, the next one computes them from the queries"""
        self._keys: Tensor | None = None
        self._values: Tensor | None = None
        self._queries: Tensor | None = None

    def extend(
        self, query_BMnd: Tensor, key_BNnd: Tensor, value_BNnd: Tensor, *, keys_by_channel: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hold n more tokens; return their queries after those kept, all keys and all values.

        With `keys_by_channel`, a channel's values of all keys are neighbours in memory: a product
        of one query with all keys is faster so. Torch's own attention wants the other order.
        """
        self._keys = _written(self._keys, self.tokens, key_BNnd, by_channel=keys_by_channel)
        self._values = _written(self._values, self.tokens, value_BNnd)
        self.tokens += key_BNnd.shape[2]
        query_BMQd = query_BMnd if self._queries is None else torch.cat((self._queries, query_BMnd), dim=2)
        if self.earlier_queries:
            self._queries = query_BMQd[:, :, -self.earlier_queries :].clone()  # a view would keep all of them
        return query_BMQd, self._keys[:, :, : self.tokens], self._values[:, :, : self.tokens]

    def of(self, rows_B: Tensor) -> "LayerCache":
        """Return a cache of these sequences of the batch, any of them several times."""
        found = LayerCache(self.earlier_queries, [self.padding[row] for row in rows_B.tolist()] if self.padding else ())
        found.tokens = self.tokens
        if self._keys is not None and self._values is not None:
            found._keys = self._keys[:, :, : self.tokens].index_select(0, rows_B)
            found._values = self._values[:, :, : self.tokens].index_select(0, rows_B)
        if self._queries is not None:
            found._queries = self._queries.index_select(0, rows_B)
        if self.recent is not None:
            found.recent = tuple(rows.select(rows_B) for rows in self.recent)
        return found

    def spans(self) -> list[tuple[slice, int]]:
        """Return neighbouring sequences of equal padding, each with that padding."""
        if not self.padding:
            return [(slice(None), 0)]
        spans, start = [], 0
        for padding, alike in groupby(self.padding):
            stop = start + len([*alike])
            spans.append((slice(start, stop), padding))
            start = stop
        return spans


def _written(held_BNKd: Tensor | None, tokens: int, new_BNnd: Tensor, *, by_channel: bool = False) -> Tensor:
    """Return `held` with the new tokens behind its first `tokens`.

    Where it has no room, that is a copy of twice the size, in memory by channel or by token.
    """
    batch, heads, new, width = new_BNnd.shape
    if held_BNKd is None or held_BNKd.shape[2] < tokens + new:
        room = max(tokens + new, 2 * tokens)
        if by_channel:
            roomy_BNKd = new_BNnd.new_empty(batch, heads, width, room).transpose(2, 3)
        else:
            roomy_BNKd = new_BNnd.new_empty(batch, heads, room, width)
        if held_BNKd is not None:
            roomy_BNKd[:, :, :tokens] = held_BNKd[:, :, :tokens]
        held_BNKd = roomy_BNKd
    held_BNKd[:, :, tokens : tokens + new] = new_BNnd
    return held_BNKd
