"""The attention core without operations: torch's own scaled_dot_product_attention.

Shapes: B batch, M heads, T tokens, d head width.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from components.kernels import substitute
from components.kernels.base import Conditions, Implementation, MapOps, class_names
from components.kernels.dropout import Dropout
from components.score_ops.base import ScoreOp


class Sdpa(Implementation):
    """Attention as torch computes it, on any device; no operation may act on the map."""

    name = "sdpa"
    compiled = True
    takes_operations = False

    def attend(
        self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor, ops: MapOps, dropout: Dropout | None
    ) -> Tensor:
        assert not ops.all()
        assert not dropout
        return F.scaled_dot_product_attention(query_BMTd, key_BMTd, value_BMTd, is_causal=True)

    def obstacle(self, ops: Sequence[ScoreOp], here: Conditions) -> str | None:
        if ops:
            return f"{class_names(ops)} acts on the map"
        if here.drops:
            return "torch's attention drops weights by the batch, not by the sequence"
        return substitute.transformed() if here.compiled else substitute.SWITCHED_OFF

    def priority(self, dtype: torch.dtype | None) -> int:
        return 20
