"""RMSNorm per head with depth scaling (2504.00927 after 2410.05258)."""

from torch import nn

from components.norms.base import ScaledConfig, ScaledRMSNorm, lambda_init
from components.registry import register


@register("norms", "depth")
class Depth(ScaledConfig):
    """RMSNorm per head, times 1 - lambda_init(layer), which falls from 0.8 to 0.2 with depth."""

    def build(self, *, width: int, model_width: int, layer: int) -> nn.Module:
        return ScaledRMSNorm(width, 1.0 - lambda_init(layer), self.start)
