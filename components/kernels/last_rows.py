"""The attention core for the last queries of a sequence alone: what generation computes a token by.

It is `eager` but for rows and masks that these do not need, and it has no gradient.

Shapes: B batch, M heads, Q query position, K key position, d head width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from components.kernels import eager
from components.kernels.base import MapOps
from components.kernels.streaming import blocks, reach
from components.score_ops.base import ScoreOp


def attend_last(query_BMQd: Tensor, key_BMKd: Tensor, value_BMKd: Tensor, ops: MapOps, rows: int) -> Tensor:
    """Return the attention [B, M, rows, d] of the last `rows` of Q queries, the last of K.

    The others are what the operations read: as many as `reach` of all `ops`, or all there are.
    """
    if rows == 1 and not ops.all():
        return F.scaled_dot_product_attention(query_BMQd, key_BMKd, value_BMKd)
    queries, before = query_BMQd.shape[-2], key_BMKd.shape[-2] - query_BMQd.shape[-2]
    whole, parts_BMQd = (reach(ops.pre), reach(ops.post)), []
    for block in blocks(queries - rows, queries, ops):
        stop = before + block.stop
        rows_BMQd = query_BMQd[..., block.logits_from : block.stop, :]
        given = rows_BMQd, key_BMKd[..., :stop, :], value_BMKd[..., :stop, :]
        if block.halos == whole:
            parts_BMQd.append(_attend_below(*given, ops))
        else:  # the sequence begins within the reach
            parts_BMQd.append(eager.attend_rows(*given, ops, halos=block.halos, dropout=None))
    if not parts_BMQd:
        return query_BMQd[..., :0, :]
    return parts_BMQd[0] if len(parts_BMQd) == 1 else torch.cat(parts_BMQd, dim=-2)


def _attend_below(query_BMQd: Tensor, key_BMKd: Tensor, value_BMKd: Tensor, ops: MapOps) -> Tensor:
    """Return the attention of the rows below those that the operations read."""
    visible_QK = eager.visible_keys(query_BMQd.shape[-2], key_BMKd.shape[-2], query_BMQd.device)
    scores_BMQK = (query_BMQd * query_BMQd.shape[-1] ** -0.5) @ key_BMKd.transpose(-1, -2)
    for op in ops.pre:
        scores_BMQK, visible_QK = _right_rows(op, scores_BMQK, visible_QK)
    weights_BMQK = _hidden(scores_BMQK, visible_QK, float("-inf")).softmax(-1)
    for op in ops.post:
        weights_BMQK, visible_QK = _right_rows(op, weights_BMQK, visible_QK)
    return (_hidden(weights_BMQK, visible_QK, 0.0) if ops.post else weights_BMQK) @ value_BMKd


def _right_rows(op: ScoreOp, scores_BMQK: Tensor, visible_QK: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows that an operation has right, and what they see."""
    above = op.earlier_queries or 0
    if "right_rows" in op.declared:
        return op.right_rows(scores_BMQK, visible_QK), visible_QK[above:]
    return op(scores_BMQK, visible_QK)[:, :, above:], visible_QK[above:]


def _hidden(scores_BMQK: Tensor, visible_QK: Tensor, value: float) -> Tensor:
    """Set the invisible places: among the last keys, as many as there are rows."""
    rows = len(visible_QK)
    if rows > 1:
        scores_BMQK[..., -rows:].masked_fill_(~visible_QK[:, -rows:], value)
    return scores_BMQK
