"""Norms before and after each sublayer (CogView: Ding et al. 2021, 2105.13290), as in Gemma 2."""

from typing import ClassVar

from torch import Tensor, nn

from components.registry import register
from components.residual_norms.base import KindConfig, Sublayer


@register("residual_norms", "sandwich")
class Sandwich(KindConfig):
    """x + after(f(before(x))), and a norm behind the last block."""

    kept: ClassVar[int] = 2

    def build(self, *, width: int, scale: float, layer: int, layers: int) -> nn.Module:
        return nn.ModuleDict({"before": self.one(width, scale), "after": self.one(width)})

    def join(self, norm: nn.Module, x_BTD: Tensor, sublayer: Sublayer) -> Tensor:
        before, after = norm.get_submodule("before"), norm.get_submodule("after")
        joined_BTD: Tensor = x_BTD + after(sublayer(before(x_BTD)))
        return joined_BTD
