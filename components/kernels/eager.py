"""The attention core as plain torch operations on the whole map: the readable reference of the others.

Shapes: B batch, M heads, T tokens, Q query position, K key position, d head width.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from components.score_ops.base import ScoreOp


def attend(
    query_BMTd: Tensor,
    key_BMTd: Tensor,
    value_BMTd: Tensor,
    pre: Sequence[ScoreOp],
    post: Sequence[ScoreOp],
    *,
    dropout: float,
) -> Tensor:
    """Causal attention: `pre` in order on the logits, softmax, `post` in order on the weights, dropout, values."""
    return attend_rows(query_BMTd, key_BMTd, value_BMTd, pre, post, halos=(0, 0), dropout=dropout)


def attend_rows(
    query_BMQd: Tensor,
    key_BMKd: Tensor,
    value_BMKd: Tensor,
    pre: Sequence[ScoreOp],
    post: Sequence[ScoreOp],
    *,
    halos: tuple[int, int],
    dropout: float,
) -> Tensor:
    """The same for a block of rows: the last Q of K queries, over the K keys up to the block's end.

    The first `halos[0]` rows of the logits are dropped after `pre`, and then the first `halos[1]` rows of the weights
    after `post`: rows that only the operations needed.
    """
    queries, keys = query_BMQd.shape[-2], key_BMKd.shape[-2]
    visible_QK = visible_keys(queries, keys, query_BMQd.device)
    scores_BMQK = query_BMQd @ key_BMKd.transpose(-1, -2) * query_BMQd.shape[-1] ** -0.5
    for op in pre:
        scores_BMQK = op(scores_BMQK, visible_QK)
    scores_BMQK, visible_QK = scores_BMQK[..., halos[0] :, :], visible_QK[halos[0] :]
    weights_BMQK = scores_BMQK.masked_fill(~visible_QK, float("-inf")).softmax(-1)
    for op in post:
        weights_BMQK = op(weights_BMQK, visible_QK)
    weights_BMQK, visible_QK = weights_BMQK[..., halos[1] :, :], visible_QK[halos[1] :]
    if post:
        weights_BMQK = weights_BMQK.masked_fill(~visible_QK, 0.0)
    if dropout:
        weights_BMQK = F.dropout(weights_BMQK, dropout)
    y_BMQd: Tensor = weights_BMQK @ value_BMKd
    return y_BMQd


def visible_keys(queries: int, keys: int, device: torch.device) -> Tensor:
    """The causal mask of the last `queries` of `keys` tokens: [Q, K], true where the key is not after the query."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)
