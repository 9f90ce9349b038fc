"""RMSNorm per head, and layer-norm scaling on the block's pre-norms.

That is where Sun et al. 2025 (2502.05795) have it.
"""

import math

from torch import nn

from components.norms.base import ScaledConfig, ScaledRMSNorm
from components.registry import register


@register("norms", "layer_norm_block")
class LayerNormBlock(ScaledConfig):
    """RMSNorm per head, and pre-norms of the block multiplied by 1 / sqrt(layer) (2502.05795)."""

    def build(self, *, width: int, model_width: int, layer: int) -> nn.Module:
        return ScaledRMSNorm(width, start=self.start)

    def pre_norm_scale(self, layer: int) -> float:
        return 1.0 / math.sqrt(layer)
