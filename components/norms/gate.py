"""RMSNorm per head and a gate: with a scalar one, the normalisation of the paper's main model.

Shapes: B batch, T tokens, M heads, d head width.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from components.initialise import Draw, default_stream
from components.kernels import pointwise
from components.kernels.substitute import Switched, calls_only
from components.norms.base import ScaledConfig, ScaledRMSNorm
from components.norms.rms import RMSNorm, widened
from components.registry import register

Per = Literal["scalar", "channel"]


@register("norms", "gate")
class Gate(ScaledConfig):
    """RMSNorm per head, times sigmoid(w . y + b): a gate for each position and head.

    All heads share w and b.
    """

    per: Per = "scalar"
    """'scalar': one gate for a head's channels, w a vector;
    'channel': one for each channel, w a d x d matrix"""

    def build(self, *, width: int, model_width: int, layer: int) -> nn.Module:
        return (ScalarGate if self.per == "scalar" else ChannelGate)(width, model_width, self.start)


class GateLinear(nn.Linear):
    """The linear map w y + b of a gate.

    w starts with std (model width)^-0.5, cut at 3 std, as in the official code; b starts at 0, as
    the paper says.
    """

    def __init__(self, width: int, gates: int, model_width: int) -> None:
        super().__init__(width, gates)
        self.std = model_width**-0.5
        self.initialise(default_stream)

    def initialise(self, draw: Draw) -> None:
        """Fill the weight from its stream, and the bias with 0."""
        nn.init.trunc_normal_(self.weight, 0.0, self.std, -3 * self.std, 3 * self.std, generator=draw("weight"))
        nn.init.zeros_(self.bias)


class ScalarGate(Switched, ScaledRMSNorm):
    """The gate reads the normalised output; its bias starts at 0."""

    each_token_alone = True

    def __init__(self, width: int, model_width: int, start: float = 1.0) -> None:
        super().__init__(width, start=start)
        self.gate = GateLinear(width, 1, model_width)

    def forward(self, y_BMTd: Tensor) -> Tensor:
        """Normalise each row, then scale it by its own gate."""
        rms, gate = self.rms, self.gate
        if not (calls_only(rms, RMSNorm) and calls_only(gate, GateLinear)):
            normed_BMTd: Tensor = rms(y_BMTd)
            return normed_BMTd * torch.sigmoid(gate(normed_BMTd))
        dtype = torch.promote_types(y_BMTd.dtype, rms.weight.dtype)
        weight_d, gate_1d, bias = map(widened, (rms.scaled_weight(), gate.weight, gate.bias))
        normed_BMTd = pointwise.gated_rms_norm(
            widened(y_BMTd), weight_d, gate_1d, bias, rms.eps, compiled=self.compiled
        )
        return normed_BMTd.to(dtype)


class ChannelGate(ScaledRMSNorm):
    """y * sigmoid(W y + b) of the normalised output y; the bias starts at 0."""

    each_token_alone = True

    def __init__(self, width: int, model_width: int, start: float = 1.0) -> None:
        super().__init__(width, start=start)
        self.gate = GateLinear(width, width, model_width)

    def forward(self, y_BMTd: Tensor) -> Tensor:
        """Normalise each row, then scale each of its channels by its own gate."""
        normed_BMTd = super().forward(y_BMTd)
        return normed_BMTd * torch.sigmoid(self.gate(normed_BMTd))
