"""Smaller residual projections in deeper models, as in GPT-2 (Radford et al. 2019, section 2.3)."""

from typing import ClassVar

from components.initialise import fan_in_std
from components.initialisers.base import Drawn, InitialiserConfig
from components.registry import ComponentError, register


@register("initialisers", "depth_scaled")
class DepthScaled(InitialiserConfig):
    """The layers that write to the residual stream times (2 layers)^-0.5, so that it does not grow.

    N layers add 2 N outputs to it, whose sum then has the size of one (also Megatron-LM,
    1909.08053, section 4).
    """

    reads_residual: ClassVar[bool] = True

    normal: float | None = None
    """standard deviation of all weights before that factor, 0.02 in GPT-2; not set: that of
    `fan_in`"""

    def __post_init__(self) -> None:
        if self.normal is not None and not 0 < self.normal < 100:
            raise ComponentError(f"normal: got {self.normal}, allowed: more than 0, below 100")

    def std(self, weight: Drawn) -> float:
        std = fan_in_std(weight.shape) if self.normal is None else self.normal
        return std * (2 * weight.layers) ** -0.5 if weight.residual else std
