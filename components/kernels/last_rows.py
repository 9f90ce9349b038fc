"""The attention core for the last queries of a sequence alone: what generation computes a token by.

It is `eager` but for rows and masks that these do not need, and it has no gradient.

Shapes: B batch, M heads, Q query position, K key position, d head width.
"""

from collections.abc import Sequence

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
    queries, before = query_BMQd.shape[-2], key_BMKd.shape[-2] - query_BMQd.shape[-2]
    whole, parts_BMQd = (reach(ops.pre), reach(ops.post)), []
    for block in blocks(queries - rows, queries, ops):
        stop = before + block.stop
        rows_BMQd = query_BMQd[..., block.logits_from : block.stop, :]
        given = rows_BMQd, key_BMKd[..., :stop, :], value_BMKd[..., :stop, :]
        if block.halos == whole:
            parts_BMQd.append(_read(_weights(*given[:2], ops), given[2], ops))
        else:  # the sequence begins within the reach
            parts_BMQd.append(eager.attend_rows(*given, ops, halos=block.halos, dropout=None))
    if not parts_BMQd:
        return query_BMQd[..., :0, :]
    return parts_BMQd[0] if len(parts_BMQd) == 1 else torch.cat(parts_BMQd, dim=-2)


def attend_next(
    query_BMQd: Tensor, key_BMKd: Tensor, value_BMKd: Tensor, ops: MapOps, earlier_BMRL: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return the attention [B, M, 1, d] of the last query, and what the next one reads of weights.

    That is the last R rows, R being the `reach` of `ops.post`: finished rows never change. Q is one
    more than the `reach` of all `ops`; where the rows of before, over K - 1 keys, are at hand, the
    first R queries are not read.
    """
    if not ops.pre and not ops.post:
        return F.scaled_dot_product_attention(query_BMQd, key_BMKd, value_BMKd), None
    kept = reach(ops.post)
    if not kept:
        return _read(_weights(query_BMQd, key_BMKd, ops), value_BMKd, ops), None
    if earlier_BMRL is None:
        weights_BMQK = _weights(query_BMQd, key_BMKd, ops)
    else:
        new_BM1K = _weights(query_BMQd[:, :, kept:], key_BMKd, ops)
        weights_BMQK = torch.cat((F.pad(earlier_BMRL, (0, 1)), new_BM1K), dim=2)
    return _read(weights_BMQK, value_BMKd, ops), weights_BMQK[:, :, 1:]


def _weights(query_BMQd: Tensor, key_BMKd: Tensor, ops: MapOps) -> Tensor:
    """Return the softmax of the logits' rows below those that `ops.pre` read."""
    (batch, heads, queries, width), keys = query_BMQd.shape, key_BMKd.shape[2]
    operands = query_BMQd.flatten(0, 1), key_BMKd.flatten(0, 1).transpose(1, 2)
    scores_BMQK = torch.baddbmm(query_BMQd.new_empty(1, 1, 1), *operands, beta=0, alpha=width**-0.5)
    return _below(ops.pre, scores_BMQK.view(batch, heads, queries, keys), float("-inf")).softmax(-1)


def _read(weights_BMQK: Tensor, value_BMKd: Tensor, ops: MapOps) -> Tensor:
    """Return the values under the weights' rows below those that `ops.post` read."""
    if ops.post:
        weights_BMQK = _below(ops.post, weights_BMQK, 0.0)
    y_GQd = torch.bmm(weights_BMQK.flatten(0, 1), value_BMKd.flatten(0, 1))
    return y_GQd.view(*weights_BMQK.shape[:3], -1)


def _below(ops: Sequence[ScoreOp], scores_BMQK: Tensor, invisible: float) -> Tensor:
    """Return the rows below those that the operations read, with a value at invisible places."""
    queries, keys = scores_BMQK.shape[2:]
    if queries == 1:
        visible_QK = torch.ones(1, keys, dtype=torch.bool, device=scores_BMQK.device)
    else:
        visible_QK = eager.visible_keys(queries, keys, scores_BMQK.device)
    for op in ops:
        above = op.earlier_queries or 0
        if "right_rows" in op.declared:
            scores_BMQK = op.right_rows(scores_BMQK, visible_QK)
        else:
            scores_BMQK = op(scores_BMQK, visible_QK)[:, :, above:]
        visible_QK = visible_QK[above:] if above else visible_QK
    rows = scores_BMQK.shape[2]
    if rows > 1:  # no row has an invisible key before the last ones, as many as there are rows
        scores_BMQK[..., -rows:].masked_fill_(~visible_QK[:, -rows:], invisible)
    return scores_BMQK
