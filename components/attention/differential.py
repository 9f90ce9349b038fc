"""Differential attention (Ye et al. 2024, 2410.05258): the difference of two softmax maps.

Shapes: B batch, M heads, T tokens, Q query position, K key position, d head width.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from components.attention.base import head_width
from components.attention.core import CoreAttention, CoreConfig
from components.initialise import Draw, default_stream
from components.norms.base import ScaledRMSNorm, lambda_init
from components.registry import ComponentError, register
from components.score_ops.base import ScoreOp, Stage


@register("attention", "differential")
class Differential(CoreConfig):
    """The difference of two softmax maps (2410.05258).

    It has half as many heads, with values of twice the width.
    """

    exempt: ClassVar[dict[str, str]] = {"identity": "lambda starts above zero and the output is always normalised"}

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        if heads % 2:
            raise ComponentError(f"heads: got {heads}, allowed: an even number (differential pairs them)")
        difference = PairDifference(heads=heads, width=head_width(width, heads), layer=layer)
        return PairAttention(
            width=width,
            heads=heads,
            dropout=self.dropout,
            impl=self.impl,
            pre_softmax=(),
            post_softmax=(difference,),
            norm=PairNorm(width=head_width(width, heads), layer=layer),
        )


class PairAttention(CoreAttention):
    """Attention whose two heads of a pair have one map, and so drop the same weights."""

    heads_a_mask = 2


class PairDifference(ScoreOp):
    """Compute A = A_1 - lambda A_2 of the two maps of a pair, for each half of its wide value.

    lambda = exp(lq1 . lk1) - exp(lq2 . lk2) + lambda_init(l), four vectors of a head's width for
    the layer.
    """

    earlier_queries = 0
    pointwise = True
    vectors = ("lambda_query_1", "lambda_key_1", "lambda_query_2", "lambda_key_2")

    def __init__(self, *, heads: int, width: int, layer: int) -> None:
        super().__init__()
        self.pairs = heads // 2
        self.lambda_init = lambda_init(layer)
        for name in self.vectors:
            self.register_parameter(name, nn.Parameter(torch.empty(width)))
        self.initialise(default_stream)

    def initialise(self, draw: Draw) -> None:
        """N(0, 0.1) for the four lambda vectors, as in section 2.1 of the paper."""
        for name in self.vectors:
            vector = self.get_parameter(name)
            if not vector.is_meta:  # drawing it there would load torch's compiler, which takes seconds
                nn.init.normal_(vector, std=0.1, generator=draw(name))

    def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Subtract in pairs, and give the difference to both heads of the pair."""
        difference_BMQK = scores_BMQK[:, 0::2] - self.difference_weight() * scores_BMQK[:, 1::2]
        return difference_BMQK.repeat_interleave(2, dim=1)

    def stage(self) -> Stage:
        """Return the matrix [[1, -lambda], [1, -lambda]] of each pair."""
        weight = self.difference_weight()
        row = torch.stack((torch.ones_like(weight), -weight))
        return Stage("mix", row.expand(self.pairs, 2, 2))

    def difference_weight(self) -> Tensor:
        """Return lambda = exp(q1 . k1) - exp(q2 . k2) + lambda_init.

        It is computed in the parameters' own precision.
        """
        # Not by get_parameter, which refuses tensors that torch.func.functional_call puts there.
        query_1, key_1, query_2, key_2 = (getattr(self, name) for name in self.vectors)
        # Not by `@`, which autocast would take to bfloat16.
        weight: Tensor = (query_1 * key_1).sum().exp() - (query_2 * key_2).sum().exp() + self.lambda_init
        return weight


class PairNorm(ScaledRMSNorm):
    """RMSNorm over a wide head's 2d channels, times 1 - lambda_init(l).

    The two halves of each head are joined first.
    """

    each_token_alone = True

    def __init__(self, *, width: int, layer: int) -> None:
        super().__init__(2 * width, 1.0 - lambda_init(layer))

    def forward(self, y_BMTd: Tensor) -> Tensor:
        """[B, M, T, d] -> [B, M / 2, T, 2d]."""
        return super().forward(torch.cat((y_BMTd[:, 0::2], y_BMTd[:, 1::2]), dim=-1))
