"""The attention core block by block: rows of a few queries at a time, over the keys they can see.

No map of T x T is ever stored. The backward pass computes each block anew (torch.utils.checkpoint),
so that the memory beside queries, keys and values is that of one block: O(M * BLOCK * T). Up to
BLOCK tokens there is one block, and nothing to gain by that.

Shapes: B batch, M heads, T tokens, d head width.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from components.kernels import eager, substitute
from components.kernels.base import Conditions, Implementation, MapOps, undeclared
from components.kernels.dropout import Dropout
from components.score_ops.base import ScoreOp

BLOCK = 128  # queries


class Streaming(Implementation):
    """Block by block; every operation must declare its `earlier_queries`.

    It goes before `eager` on any device: it never stores a map, and on a CPU it is the faster one
    besides, because it leaves out the keys that nobody sees. Measured: equal to `eager` up to 128
    tokens, about twice as fast at 1024; only at 256 and without convolutions it is slower, by a
    tenth to a third.
    """

    name = "streaming"

    def attend(
        self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor, ops: MapOps, dropout: Dropout | None
    ) -> Tensor:
        tokens = query_BMTd.shape[-2]
        if tokens <= BLOCK:
            return eager.attend_rows(query_BMTd, key_BMTd, value_BMTd, ops, halos=(0, 0), dropout=dropout)
        blocks_BMQd = []
        for block in blocks(0, tokens, ops):
            block_BMQd: Tensor = checkpoint(
                eager.attend_rows,
                query_BMTd[..., block.logits_from : block.stop, :],
                key_BMTd[..., : block.stop, :],
                value_BMTd[..., : block.stop, :],
                ops,
                halos=block.halos,
                dropout=dropout,
                use_reentrant=False,
            )
            blocks_BMQd.append(block_BMQd)
        return torch.cat(blocks_BMQd, dim=-2)

    def obstacle(self, ops: Sequence[ScoreOp], here: Conditions) -> str | None:
        return undeclared(ops, "earlier_queries") or substitute.transformed()

    def priority(self, dtype: torch.dtype | None) -> int:
        return 10

    def drawback(self) -> str | None:
        return substitute.exported()  # the program would have as many blocks as the example has


class Block(NamedTuple):
    """Rows that are computed together, counted among the queries that are there."""

    logits_from: int
    stop: int
    halos: tuple[int, int]


def blocks(first: int, stop: int, ops: MapOps) -> Iterator[Block]:
    """Yield the blocks of the rows from `first` on, each with what its operations read above it."""
    reach_pre, reach_post = reach(ops.pre), reach(ops.post)
    for start in range(first, stop, BLOCK):
        weights_from = max(0, start - reach_post)
        logits_from = max(0, weights_from - reach_pre)
        halos = (weights_from - logits_from, start - weights_from)
        yield Block(logits_from, min(start + BLOCK, stop), halos)


def reach(ops: Sequence[ScoreOp]) -> int:
    """Return how many earlier queries' rows a row of the result of all `ops` reads."""
    return sum(op.earlier_queries or 0 for op in ops)
