"""Multi-Token Attention (Golovneva et al. 2025, 2504.00927): lists of operations on the attention map.

The order is data: `pre_softmax` acts on the logits, `post_softmax` on the weights, each list from first to last.
Every row of the paper's Table 5, and Talking Heads, is this class with other lists.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from components.attention.base import Attention, AttentionConfig, visible_keys
from components.norms import Gate, NoNorm, NormConfig
from components.registry import register
from components.score_ops import HeadMixing, KeyQuery, ScoreOpConfig


@register("attention", "multi_token")
class MultiToken(AttentionConfig):
    """Attention whose weights depend on several queries, keys and heads (2504.00927); default: the paper's MTA."""

    pre_softmax: tuple[ScoreOpConfig, ...] = (KeyQuery(), HeadMixing())
    """operations on the logits, in this order; each says on which layers it stands"""
    post_softmax: tuple[ScoreOpConfig, ...] = (KeyQuery(), HeadMixing())
    """operations on the attention weights, in this order"""
    norm: NormConfig = Gate()
    """normalisation of each head's output, before the output projection"""

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        def here(ops: Sequence[ScoreOpConfig]) -> list[nn.Module]:
            return [op.build(heads=heads) for op in ops if op.on_layer(layer, layers)]

        return MultiTokenAttention(
            width=width,
            heads=heads,
            dropout=self.dropout,
            pre_softmax=here(self.pre_softmax),
            post_softmax=here(self.post_softmax),
            norm=self.norm.build(width=width // heads, layer=layer),
        )

    def identity(self) -> Self:
        def plain(ops: tuple[ScoreOpConfig, ...]) -> tuple[ScoreOpConfig, ...]:
            return tuple(op.identity() for op in ops)

        return replace(self, pre_softmax=plain(self.pre_softmax), post_softmax=plain(self.post_softmax), norm=NoNorm())


class MultiTokenAttention(Attention):
    """Equations 4 to 7 with the paper's double masking, as plain torch operations."""

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        dropout: float,
        pre_softmax: Sequence[nn.Module],
        post_softmax: Sequence[nn.Module],
        norm: nn.Module,
    ) -> None:
        super().__init__(width=width, heads=heads, dropout=dropout)
        self.pre_softmax = nn.ModuleList(pre_softmax)
        self.post_softmax = nn.ModuleList(post_softmax)
        self.norm = norm

    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        y_BMTd: Tensor
        if not self.pre_softmax and not self.post_softmax:
            dropout = self.dropout if self.training else 0.0
            y_BMTd = F.scaled_dot_product_attention(query_BMTd, key_BMTd, value_BMTd, dropout_p=dropout, is_causal=True)
            return self.norm(y_BMTd)  # type: ignore[no-any-return]
        tokens, head_width = query_BMTd.shape[-2:]
        visible_QK = visible_keys(tokens, query_BMTd.device)
        scores_BMQK = query_BMTd @ key_BMTd.transpose(-1, -2) * head_width**-0.5
        for op in self.pre_softmax:
            scores_BMQK = op(scores_BMQK, visible_QK)
        weights_BMQK = scores_BMQK.masked_fill(~visible_QK, float("-inf")).softmax(-1)
        for op in self.post_softmax:
            weights_BMQK = op(weights_BMQK, visible_QK)
        if self.post_softmax:
            weights_BMQK = weights_BMQK.masked_fill(~visible_QK, 0.0)
        weights_BMQK = F.dropout(weights_BMQK, self.dropout, self.training)
        y_BMTd = self.norm(weights_BMQK @ value_BMTd)
        return y_BMTd
