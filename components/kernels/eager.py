"""The attention core as plain torch operations on the whole map: the reference of the others.

Shapes: B batch, M heads, T tokens, Q query position, K key position, d head width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from components.kernels.base import Conditions, Implementation, MapOps
from components.kernels.dropout import Dropout
from components.score_ops.base import ScoreOp


class Eager(Implementation):
    """Every operation as its `forward` is written, on the whole map; nothing stands in its way."""

    name = "eager"
    stores_map = True

    def attend(
        self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor, ops: MapOps, dropout: Dropout | None
    ) -> Tensor:
        return attend_rows(query_BMTd, key_BMTd, value_BMTd, ops, halos=(0, 0), dropout=dropout)

    def obstacle(self, ops: Sequence[ScoreOp], here: Conditions) -> str | None:
        return None

    def priority(self, dtype: torch.dtype | None) -> int:
        return 0


def attend_rows(
    query_BMQd: Tensor,
    key_BMKd: Tensor,
    value_BMKd: Tensor,
    ops: MapOps,
    *,
    halos: tuple[int, int],
    dropout: Dropout | None,
) -> Tensor:
    """Return the attention [B, M, Q, d] of the last Q of K queries, over the keys up to the last.

    `ops.pre` in order on the logits, softmax, `ops.post` in order on the weights, dropout, values.
    The first `halos[0]` rows of the logits are dropped after `ops.pre`, and then the first
    `halos[1]` rows of the weights after `ops.post`: rows that only the operations needed.
    """
    queries, keys = query_BMQd.shape[-2], key_BMKd.shape[-2]
    visible_QK = visible_keys(queries, keys, query_BMQd.device)
    scores_BMQK = query_BMQd @ key_BMKd.transpose(-1, -2) * query_BMQd.shape[-1] ** -0.5
    for op in ops.pre:
        scores_BMQK = op(scores_BMQK, visible_QK)
    scores_BMQK, visible_QK = scores_BMQK[..., halos[0] :, :], visible_QK[halos[0] :]
    weights_BMQK = scores_BMQK.masked_fill(~visible_QK, float("-inf")).softmax(-1)
    for op in ops.post:
        weights_BMQK = op(weights_BMQK, visible_QK)
    weights_BMQK, visible_QK = weights_BMQK[..., halos[1] :, :], visible_QK[halos[1] :]
    if ops.post:
        weights_BMQK = weights_BMQK.masked_fill(~visible_QK, 0.0)
    if dropout:
        weights_BMQK = dropout(weights_BMQK)
    y_BMQd: Tensor = weights_BMQK @ value_BMKd
    return y_BMQd


def visible_keys(queries: int, keys: int, device: torch.device) -> Tensor:
    """Return the causal mask [Q, K] of the last `queries` of `keys` tokens.

    It is true where a key is not after its query.
    """
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)
