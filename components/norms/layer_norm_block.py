"""RMSNorm per head, and layer-norm scaling where Sun et al. 2025 (2502.05795) have it: on the block's pre-norms."""

import math

from torch import nn

from components.norms.base import NormConfig, ScaledRMSNorm
from components.registry import register


@register("norms", "layer_norm_block")
class LayerNormBlock(NormConfig):
    """RMSNorm per head; the norms before attention and feed-forward are multiplied by 1 / sqrt(layer) (2502.05795)."""

    def build(self, *, width: int, model_width: int, layer: int) -> nn.Module:
        return ScaledRMSNorm(width)

    def pre_norm_scale(self, layer: int) -> float:
        return 1.0 / math.sqrt(layer)
