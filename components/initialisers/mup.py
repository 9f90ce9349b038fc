"""muP, maximal update parametrization (Yang et al. 2022, Tensor Programs V, 2203.03466)."""

from typing import ClassVar

from components.initialise import fan_in_std
from components.initialisers.base import Drawn, InitialiserConfig
from components.registry import ComponentError, register


@register("initialisers", "mup")
class Mup(InitialiserConfig):
    """Starts and rates under which the best learning rate of a narrow model is a wide one's, too.

    That of Table 8, and not of Table 3: there, input and output weights have other starts and
    rates, and here one embedding is both. In Table 8 both start at a size, and learn at a rate,
    that no width changes, and logits are divided by the width. At the base width all of it is
    `fan_in`.
    """

    sets_rates: ClassVar[bool] = True

    base_width: int = 64
    """width of the model whose learning rate is transferred"""
    base_heads: int | None = None
    """heads of that model; not set: as many as this one has, whose heads then grow wider"""

    def __post_init__(self) -> None:
        for name, given in (("base_width", self.base_width), ("base_heads", self.base_heads)):
            if given is not None and given < 1:
                raise ComponentError(f"{name}: got {given}, allowed: 1 or more")

    def std(self, weight: Drawn) -> float:
        """Table 8, row of initial variances; of a layer with outputs of a fixed number, Table 3.

        Such a layer, like the router of a mixture, has no factor behind it that would shrink its
        outputs.
        """
        if weight.embedding:
            return fan_in_std(weight.base)
        to_fixed = weight.shape[0] == weight.base[0]
        return fan_in_std(weight.shape) * (weight.growth**-0.5 if to_fixed else 1.0)

    def rate(self, weight: Drawn) -> float:
        """Table 8, row of Adam's learning rates: over the growth of a layer's inputs."""
        return 1.0 if weight.embedding else 1.0 / weight.growth

    def base(self, *, width: int, heads: int) -> tuple[int, int]:
        return self.base_width, self.base_heads or heads

    def query_scale(self, *, width: int, heads: int) -> float:
        """Definition 4.1: logits over d, not d^0.5, for heads that grow wider from the base's d."""
        base_width, base_heads = self.base(width=width, heads=heads)
        return float(((base_width / base_heads) / (width / heads)) ** 0.5)

    def output_scale(self, *, width: int) -> float:
        """Table 8, row of multipliers, for output weights."""
        return self.base_width / width
