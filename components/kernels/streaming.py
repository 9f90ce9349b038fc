"""The attention core block by block: rows of a few queries at a time, over the keys that these can see.

No map of T x T is ever stored. The backward pass computes each block anew (torch.utils.checkpoint), so that the
memory beside queries, keys and values is that of one block: O(M * BLOCK * T). Up to BLOCK tokens there is one block,
and nothing to gain by that.

Shapes: B batch, M heads, T tokens, d head width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from components.kernels import eager
from components.score_ops.base import ScoreOp

BLOCK = 128  # queries


def attend(
    query_BMTd: Tensor,
    key_BMTd: Tensor,
    value_BMTd: Tensor,
    pre: Sequence[ScoreOp],
    post: Sequence[ScoreOp],
    *,
    dropout: float,
) -> Tensor:
    """Causal attention as `eager.attend`; every operation must say its `earlier_queries`."""
    tokens, reach_pre, reach_post = query_BMTd.shape[-2], reach(pre), reach(post)
    if tokens <= BLOCK:
        return eager.attend(query_BMTd, key_BMTd, value_BMTd, pre, post, dropout=dropout)
    blocks_BMQd = []
    for start in range(0, tokens, BLOCK):
        stop = min(start + BLOCK, tokens)
        weights_from = max(0, start - reach_post)
        logits_from = max(0, weights_from - reach_pre)
        block_BMQd: Tensor = checkpoint(
            eager.attend_rows,
            query_BMTd[..., logits_from:stop, :],
            key_BMTd[..., :stop, :],
            value_BMTd[..., :stop, :],
            pre,
            post,
            halos=(weights_from - logits_from, start - weights_from),
            dropout=dropout,
            use_reentrant=False,
        )
        blocks_BMQd.append(block_BMQd)
    return torch.cat(blocks_BMQd, dim=-2)


def reach(ops: Sequence[ScoreOp]) -> int:
    """Return how many earlier queries' rows a row of the result of all `ops` reads."""
    return sum(op.earlier_queries or 0 for op in ops)
