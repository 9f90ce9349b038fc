"""The attention core without operations: torch's own scaled_dot_product_attention.

Shapes: B batch, M heads, T tokens, d head width.
"""

from collections.abc import Sequence

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
    """Causal attention; `pre` and `post` must be empty."""
    assert not [*pre, *post]
    return F.scaled_dot_product_attention(query_BMTd, key_BMTd, value_BMTd, dropout_p=dropout, is_causal=True)
