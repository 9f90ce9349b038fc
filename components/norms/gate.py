"""RMSNorm per head and a gate: with a scalar one, the normalisation of the paper's main model.

Shapes: B batch, T tokens, M heads, d head width.
"""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from components.norms.base import NormConfig, ScaledRMSNorm
from components.norms.rms import inverse_rms, sum_rows
from components.registry import ComponentError, register

Per = Literal["scalar", "channel"]


@register("norms", "gate")
class Gate(NormConfig):
    """RMSNorm per head, times sigmoid(w . y + b): a gate for each position and head, w and b shared by the heads."""

    per: Per = "scalar"
    """'scalar': one gate for a head's channels, w a vector; 'channel': one for each channel, w a d x d matrix"""

    def __post_init__(self) -> None:
        if self.per not in get_args(Per):
            raise ComponentError(f"per: got {self.per!r}, allowed: {', '.join(get_args(Per))}")

    def build(self, *, width: int, layer: int) -> nn.Module:
        return ScalarGate(width) if self.per == "scalar" else ChannelGate(width)


class ScalarGate(ScaledRMSNorm):
    """The gate reads the normalised output; its bias starts at 0."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.gate = nn.Linear(width, 1)
        nn.init.zeros_(self.gate.bias)

    def normalise(self, y_BTMd: Tensor) -> Tensor:
        """Normalise each row, then scale it by its own gate."""
        wide = torch.promote_types(y_BTMd.dtype, torch.float32)
        inputs = (y_BTMd, self.rms.weight, self.gate.weight[0], self.gate.bias)
        gated: Tensor = _GatedRMSNorm.apply(*(given.to(wide) for given in inputs))  # type: ignore[no-untyped-call]
        return gated.to(torch.promote_types(y_BTMd.dtype, self.rms.weight.dtype))


class ChannelGate(ScaledRMSNorm):
    """y * sigmoid(W y + b) of the normalised output y; the bias starts at 0."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.gate = nn.Linear(width, width)
        nn.init.zeros_(self.gate.bias)

    def normalise(self, y_BTMd: Tensor) -> Tensor:
        """Normalise each row, then scale each of its channels by its own gate."""
        normed_BTMd = super().normalise(y_BTMd)
        return normed_BTMd * torch.sigmoid(self.gate(normed_BTMd))


class _GatedRMSNorm(torch.autograd.Function):
    """y = x r w s with r = 1 / rms(x) and the gate s = sigmoid(r x . (w v) + b): few passes over x, little kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_d: Tensor, gate_d: Tensor, bias: Tensor) -> Tensor:
        inverse = inverse_rms(x)
        dot = (x * (weight_d * gate_d)).sum(-1, keepdim=True)  # a product by torch.linalg is bfloat16 under autocast
        gate = torch.sigmoid(inverse * dot + bias)
        ctx.save_for_backward(x, weight_d, gate_d, inverse, dot, gate)
        return (x * (inverse * gate)).mul_(weight_d)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """By the chain rule, through log(r s): with z the gate's argument, ds = s (1 - s) dz and dr = -r^3 x dx / d."""
        x, weight_d, gate_d, inverse, dot, gate = ctx.saved_tensors
        product, scale = gradient * x, inverse * gate
        log_gradient = (product @ weight_d).unsqueeze(-1).mul_(scale)  # of r s
        z_gradient = log_gradient.addcmul(log_gradient, gate, value=-1.0)
        dot_gradient = z_gradient * inverse
        inverse_gradient = log_gradient.addcmul_(dot_gradient, dot).mul_(inverse**2)  # of log r, times r^2
        x_gradient = (gradient * scale).addcmul_(dot_gradient, gate_d).mul_(weight_d)
        x_gradient.addcmul_(x, inverse_gradient, value=-1.0 / x.shape[-1])
        combined_d = sum_rows(x, dot_gradient)  # the gradient of w v
        weight_gradient = sum_rows(product, scale) + combined_d * gate_d
        return x_gradient, weight_gradient, combined_d * weight_d, z_gradient.sum().view(1)
