"""RMSNorm per head and a gate: with a scalar one, the normalisation of the paper's main model.

Shapes: B batch, T tokens, M heads, d head width.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from components.kernels import rows
from components.kernels.substitute import Switched, calls_only
from components.norms.base import NormConfig, ScaledRMSNorm
from components.norms.rms import RMSNorm, widened
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


class ScalarGate(Switched, ScaledRMSNorm):
    """The gate reads the normalised output; its bias starts at 0."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.gate = nn.Linear(width, 1)
        nn.init.zeros_(self.gate.bias)

    def forward(self, y_BMTd: Tensor) -> Tensor:
        """Normalise each row, then scale it by its own gate."""
        if not (calls_only(self.rms, RMSNorm) and calls_only(self.gate, nn.Linear)):
            normed_BMTd: Tensor = self.rms(y_BMTd)
            return normed_BMTd * torch.sigmoid(self.gate(normed_BMTd))
        dtype = torch.promote_types(y_BMTd.dtype, self.rms.weight.dtype)
        given = (self.rms.scaled_weight(), self.gate.weight, self.gate.bias)
        weight_d, gate_1d, bias = (widened(parameter) for parameter in given)
        y_BMTd, eps = widened(y_BMTd), self.rms.eps
        return rows.gated_rms_norm(y_BMTd, weight_d, gate_1d, bias, eps, compiled=self.compiled).to(dtype)


class ChannelGate(ScaledRMSNorm):
    """y * sigmoid(W y + b) of the normalised output y; the bias starts at 0."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.gate = nn.Linear(width, width)
        nn.init.zeros_(self.gate.bias)

    def forward(self, y_BMTd: Tensor) -> Tensor:
        """Normalise each row, then scale each of its channels by its own gate."""
        normed_BMTd = super().forward(y_BMTd)
        return normed_BMTd * torch.sigmoid(self.gate(normed_BMTd))
