"""The attention core for the last queries of a sequence alone: what generation computes a token by.

It is `eager` but for rows and masks that these do not need, and it has no gradient.

Shapes: B batch, M heads, Q query position, K key position, d head width.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from components.kernels import eager
from components.kernels.base import MapOps
from components.kernels.recent_rows import RecentRows
from components.kernels.streaming import blocks, reach
from components.score_ops.base import ScoreOp

Recent = tuple[RecentRows, ...]
"""of each operation that reads earlier rows, in their order"""


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
    query_BMQd: Tensor, key_BMKd: Tensor, value_BMKd: Tensor, ops: MapOps, recent: Recent | None
) -> tuple[Tensor, Recent | None]:
    """Return the attention [B, M, 1, d] of the last query, and what the next one reads of rows.

    Q is one more than the `reach` of all `ops`. Where the rows of before are at hand, over K - 1
    keys, the last query alone is read: finished rows do not change.
    """
    if not ops.pre and not ops.post:
        return F.scaled_dot_product_attention(query_BMQd, key_BMKd, value_BMKd), None
    if recent is None:
        kept: list[RecentRows] = []
        weights_BMQK = _weights(query_BMQd, key_BMKd, ops, kept)
        y_BM1d = _read(weights_BMQK, value_BMKd, ops, kept)
        # Raw logits of earlier rows at keys that these do not see are further ones with each key.
        return y_BM1d, None if any(op.reads_invisible for op in ops.pre) else tuple(kept)
    left = iter(recent)
    found: list[RecentRows] = []
    visible_1K = torch.ones(1, key_BMKd.shape[2], dtype=torch.bool, device=key_BMKd.device)
    scores_BM1K = _next(ops.pre, _scores(query_BMQd[:, :, -1:], key_BMKd), visible_1K, left, found)
    weights_BM1K = _next(ops.post, scores_BM1K.softmax(-1), visible_1K, left, found)
    return _valued(weights_BM1K, value_BMKd), tuple(found)


def _next(
    ops: Sequence[ScoreOp],
    row_BM1K: Tensor,
    visible_1K: Tensor,
    recent: Iterator[RecentRows],
    found: list[RecentRows],
) -> Tensor:
    """Return what the operations make of a row, and find their recent rows with this one."""
    for op in ops:
        if not op.earlier_queries:
            row_BM1K = (op.right_rows if "right_rows" in op.declared else op)(row_BM1K, visible_1K)
            continue
        rows, window_BMAL = next(recent).extended(row_BM1K)
        found.append(rows)
        next_row = type(op).next_row if "next_row" in op.declared else ScoreOp.next_row
        row_BM1K = next_row(op, window_BMAL)
    return row_BM1K


def _scores(query_BMQd: Tensor, key_BMKd: Tensor) -> Tensor:
    """Return the logits [B, M, Q, K] before any operation."""
    (batch, heads, queries, width), keys = query_BMQd.shape, key_BMKd.shape[2]
    operands = query_BMQd.flatten(0, 1), key_BMKd.flatten(0, 1).transpose(1, 2)
    scores_GQK = torch.baddbmm(query_BMQd.new_empty(1, 1, 1), *operands, beta=0, alpha=width**-0.5)
    return scores_GQK.view(batch, heads, queries, keys)


def _weights(query_BMQd: Tensor, key_BMKd: Tensor, ops: MapOps, kept: list[RecentRows] | None = None) -> Tensor:
    """Return the softmax of the logits' rows below those that `ops.pre` read."""
    return _below(ops.pre, _scores(query_BMQd, key_BMKd), float("-inf"), kept).softmax(-1)


def _read(weights_BMQK: Tensor, value_BMKd: Tensor, ops: MapOps, kept: list[RecentRows] | None = None) -> Tensor:
    """Return the values under the weights' rows below those that `ops.post` read."""
    return _valued(_below(ops.post, weights_BMQK, 0.0, kept) if ops.post else weights_BMQK, value_BMKd)


def _valued(weights_BMQK: Tensor, value_BMKd: Tensor) -> Tensor:
    y_GQd = torch.bmm(weights_BMQK.flatten(0, 1), value_BMKd.flatten(0, 1))
    return y_GQd.view(*weights_BMQK.shape[:3], -1)


def _below(
    ops: Sequence[ScoreOp], scores_BMQK: Tensor, invisible: float, kept: list[RecentRows] | None = None
) -> Tensor:
    """Return the rows below those that the operations read, with a value at invisible places.

    What the next row reads of the rows that an operation is given goes into `kept`.
    """
    queries, keys = scores_BMQK.shape[2:]
    if queries == 1:
        visible_QK = torch.ones(1, keys, dtype=torch.bool, device=scores_BMQK.device)
    else:
        visible_QK = eager.visible_keys(queries, keys, scores_BMQK.device)
    for op in ops:
        above = op.earlier_queries or 0
        if above and kept is not None:
            last_BMAK = scores_BMQK[:, :, -above:].masked_fill(~visible_QK[-above:], 0.0)
            kept.append(RecentRows.of(last_BMAK, op.keys_around if "next_row" in op.declared else (0, 0)))
        if "right_rows" in op.declared:
            scores_BMQK = op.right_rows(scores_BMQK, visible_QK)
        else:
            scores_BMQK = op(scores_BMQK, visible_QK)[:, :, above:]
        visible_QK = visible_QK[above:] if above else visible_QK
    rows = scores_BMQK.shape[2]
    if rows > 1:  # no row has an invisible key before the last ones, as many as there are rows
        scores_BMQK[..., -rows:].masked_fill_(~visible_QK[:, -rows:], invisible)
    return scores_BMQK
