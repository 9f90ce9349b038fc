"""No normalisation."""

from torch import nn

from components.norms.base import NormConfig
from components.registry import register


@register("norms", "none")
class NoNorm(NormConfig):
    """The heads' outputs as they are."""

    def build(self, *, width: int, model_width: int, layer: int) -> nn.Module:
        return nn.Identity()
