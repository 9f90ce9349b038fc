"""Talking-Heads Attention (Shazeer et al. 2020, 2003.02436).

It mixes all heads before and after the softmax.
"""

from torch import nn

from components.attention.core import CoreConfig
from components.attention.multi_token import MultiToken
from components.norms import NoNorm
from components.registry import register
from components.score_ops import HeadMixing


@register("attention", "talking_heads")
class TalkingHeads(CoreConfig):
    """All heads' maps mixed by one matrix before and one after the softmax (2003.02436)."""

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        return self.in_operations().build(width=width, heads=heads, layer=layer, layers=layers)

    def in_operations(self) -> MultiToken:
        mixing = (HeadMixing(group="all"),)
        return MultiToken(dropout=self.dropout, impl=self.impl, pre_softmax=mixing, post_softmax=mixing, norm=NoNorm())
