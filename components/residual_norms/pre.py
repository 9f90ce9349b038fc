"""Norms before the sublayers (Xiong et al. 2020, 2002.04745), as in the paper's models."""

from torch import Tensor, nn

from components.registry import register
from components.residual_norms.base import KindConfig, Sublayer


@register("residual_norms", "pre")
class Pre(KindConfig):
    """x + f(norm(x)), and a norm behind the last block."""

    def build(self, *, width: int, scale: float, layer: int, layers: int) -> nn.Module:
        return self.one(width, scale)

    def join(self, norm: nn.Module, x_BTD: Tensor, sublayer: Sublayer) -> Tensor:
        return x_BTD + sublayer(norm(x_BTD))


PRE = Pre()
"""the default of a model, as in the paper"""
