"""Plain causal softmax attention: the baseline (Vaswani et al. 2017, 1706.03762)."""

from torch import nn

from components.attention.base import AttentionConfig, head_width
from components.attention.core import CoreAttention, CoreConfig
from components.attention.multi_token import MultiToken
from components.norms import NoNorm
from components.registry import register


@register("attention", "softmax")
class Softmax(CoreConfig):
    """Plain causal softmax attention: the Transformer baseline (1706.03762)."""

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        return CoreAttention(
            width=width,
            heads=heads,
            dropout=self.dropout,
            impl=self.impl,
            pre_softmax=(),
            post_softmax=(),
            norm=NoNorm().build(width=head_width(width, heads), model_width=width, layer=layer),
        )

    def in_operations(self) -> AttentionConfig:
        return MultiToken(dropout=self.dropout, impl=self.impl, pre_softmax=(), post_softmax=(), norm=NoNorm())
