"""RMSNorm per head: "no scaling" in the paper's Table 5."""

from torch import nn

from components.norms.base import ScaledConfig, ScaledRMSNorm
from components.registry import register


@register("norms", "plain")
class Plain(ScaledConfig):
    """RMSNorm over each head's channels, one learned weight vector for the layer ("no scaling")."""

    def build(self, *, width: int, model_width: int, layer: int) -> nn.Module:
        return ScaledRMSNorm(width, start=self.start)
