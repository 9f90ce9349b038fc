"""Norms behind the sum, as in the first Transformer (Vaswani et al. 2017, 1706.03762)."""

from torch import Tensor, nn

from components.registry import register
from components.residual_norms.base import KindConfig, Sublayer, refuse_scale


@register("residual_norms", "post")
class Post(KindConfig):
    """norm(x + f(x)); nothing behind the last block, whose output is normed already."""

    def build(self, *, width: int, scale: float, layer: int, layers: int) -> nn.Module:
        refuse_scale(self.name, scale)
        return self.one(width)

    def join(self, norm: nn.Module, x_BTD: Tensor, sublayer: Sublayer) -> Tensor:
        normed_BTD: Tensor = norm(x_BTD + sublayer(x_BTD))
        return normed_BTD

    def final(self, *, width: int) -> nn.Module:
        return nn.Identity()
