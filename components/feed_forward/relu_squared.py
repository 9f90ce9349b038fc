"""The squared ReLU of Primer (So et al. 2021, 2109.08668)."""

from collections.abc import Callable

from torch import Tensor

from components.feed_forward.base import PlainConfig
from components.registry import register


@register("feed_forward", "relu_squared")
class ReluSquared(PlainConfig):
    """Two matrices with a ReLU between them, and its square."""

    def activation(self) -> Callable[[Tensor], Tensor]:
        return squared_relu


def squared_relu(x: Tensor) -> Tensor:
    """Return max(x, 0)^2."""
    return x.relu().square()
