"""ALiBi, attention with linear biases (Press et al. 2022, 2108.12409).

Shapes: B batch, M heads, Q query position, K key position.
"""

import math

import torch
from torch import Tensor

from components.positions.base import PositionConfig
from components.registry import register
from components.score_ops.base import ScoreOp


@register("positions", "alibi")
class Alibi(PositionConfig):
    """A bias on logits that falls with the distance, at a slope of each head's own (2108.12409)."""

    def bias(self, *, heads: int, layer: int) -> ScoreOp:
        return LinearBias(heads)


class LinearBias(ScoreOp):
    """Take slope * (query - key) from each logit."""

    earlier_queries = 0
    pointwise = True

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Bias the rows, the last Q of K queries, in float32 at least."""
        (queries, keys), device = scores_BMQK.shape[2:], scores_BMQK.device
        wide = torch.promote_types(scores_BMQK.dtype, torch.float32)
        distances_QK = torch.arange(keys - queries, keys, device=device)[:, None] - torch.arange(keys, device=device)
        biased_BMQK = scores_BMQK.to(wide) - slopes(self.heads, wide, device)[:, None, None] * distances_QK
        return biased_BMQK.to(scores_BMQK.dtype)


def slopes(heads: int, dtype: torch.dtype = torch.float32, device: torch.device | None = None) -> Tensor:
    """Return the slope of each head [M]: 2^(-8 / n), 2^(-16 / n), ... for n heads.

    Where their number is no power of two, n is the one below it, and further heads have every
    second slope of twice as many (the authors' code).
    """
    n = 2 ** math.floor(math.log2(heads))
    exponents = torch.arange(1, n + 1, dtype=dtype, device=device) * (8 / n)
    between = (2 * torch.arange(heads - n, dtype=dtype, device=device) + 1) * (4 / n)
    return torch.exp2(-torch.cat((exponents, between)))
