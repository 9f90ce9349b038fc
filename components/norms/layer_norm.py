"""RMSNorm per head with layer-norm scaling on that norm (Sun et al. 2025, 2502.05795).

`layer_norm_block` is the other reading.
"""

from torch import nn

from components.norms.base import ScaledConfig, ScaledRMSNorm
from components.registry import register


@register("norms", "layer_norm")
class LayerNorm(ScaledConfig):
    """RMSNorm per head, times 1 / sqrt(layer) ("layer-norm scaling", 2502.05795)."""

    def build(self, *, width: int, model_width: int, layer: int) -> nn.Module:
        return ScaledRMSNorm(width, layer**-0.5, self.start)
