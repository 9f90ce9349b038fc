"""SwiGLU (Shazeer 2020, 2002.05202), the feed-forward of the paper's models."""

from torch import Tensor, nn

from components.feed_forward.base import GATED, FeedForwardConfig, check_size, hidden_width
from components.kernels import pointwise
from components.kernels.substitute import Switched
from components.registry import register


@register("feed_forward", "swiglu")
class Swiglu(FeedForwardConfig):
    """Three matrices: one makes the gate, by which the second's output is multiplied."""

    size: float | None = None
    """hidden width over the model's, before it is rounded up; not set: 8 / 3"""

    def __post_init__(self) -> None:
        if self.size is not None:
            check_size(self.size)

    def build(self, *, width: int, multiple: int, layer: int, layers: int) -> nn.Module:
        """Return a `SwiGLU`, the same on all layers."""
        return SwiGLU(width, hidden_width(width, multiple, self.size or GATED))


class SwiGLU(Switched, nn.Module):
    """down(silu(gate(x)) * up(x)), without biases."""

    writes_residual = ("down",)

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Apply to each position on its own."""
        product_BTH = pointwise.swiglu(self.gate(x_BTD), self.up(x_BTD), compiled=self.compiled)
        out_BTD: Tensor = self.down(product_BTH)
        return out_BTD


SWIGLU = Swiglu()
"""the default of a model, as in the paper"""
