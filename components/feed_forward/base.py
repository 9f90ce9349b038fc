"""The contract of a block's feed-forward, and the form that most without a gate share.

Shapes: B batch, T tokens, D model width, H hidden width.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from components.registry import Component, ComponentError

GATED, PLAIN = 8 / 3, 4.0
"""hidden widths over the model's: three matrices with the first, two with the second, have as many
weights"""


@dataclass(frozen=True, kw_only=True)
class FeedForwardConfig(Component, family="feed_forward"):
    """Base of all feed-forwards."""

    @abstractmethod
    def build(self, *, width: int, multiple: int, layer: int, layers: int) -> nn.Module:
        """Return a module `x_BTD -> y_BTD` for layer `layer`, counted from 1.

        It reads each token alone: generation computes none of them twice. Hidden widths are rounded
        up to `multiple` (see `hidden_width`). The module may have losses of its own: see
        `components.auxiliary.HasLosses`.
        """

    @property
    def used(self) -> float:
        """Return the share of the module's weights that compute one token, from 0 to 1."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class PlainConfig(FeedForwardConfig):
    """Base of two matrices with an activation between them."""

    size: float = PLAIN
    """hidden width over the model's, before it is rounded up; 4 has the weights of the default"""

    def __post_init__(self) -> None:
        check_size(self.size)

    @abstractmethod
    def activation(self) -> Callable[[Tensor], Tensor]:
        """Return the function of each hidden number."""

    def build(self, *, width: int, multiple: int, layer: int, layers: int) -> nn.Module:
        """Return `TwoMatrices`, the same on all layers."""
        return TwoMatrices(width, hidden_width(width, multiple, self.size), self.activation())


class TwoMatrices(nn.Module):
    """down(activation(up(x))), without biases."""

    writes_residual = ("down",)

    def __init__(self, width: int, hidden: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.activation = activation
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Apply to each position on its own."""
        out_BTD: Tensor = self.down(self.activation(self.up(x_BTD)))
        return out_BTD


def hidden_width(width: int, multiple: int, size: float = GATED) -> int:
    """Return `size` times the model's width, rounded up to a multiple."""
    # Times 3 first: 8 / 3 of a width that 3 divides is whole, and must not be rounded up.
    return multiple * math.ceil(round(3 * size, 9) * width / 3 / multiple)


def check_size(size: float) -> None:
    """Raise ComponentError for a hidden width over the model's that no feed-forward has."""
    if not 0 < size <= 1024:
        raise ComponentError(f"size: got {size}, allowed: more than 0, at most 1024")
