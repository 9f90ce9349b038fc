"""RMSNorm per head and a scalar gate: the normalisation of the paper's main model."""

import torch
from torch import Tensor, nn

from components.norms.base import NormConfig, ScaledRMSNorm
from components.registry import register


@register("norms", "gate")
class Gate(NormConfig):
    """RMSNorm per head, times sigmoid(w . y + b): one scalar a position and head, w and b shared by the heads."""

    def build(self, *, width: int, layer: int) -> nn.Module:
        return ScalarGate(width)


class ScalarGate(ScaledRMSNorm):
    """The gate reads the normalised output; its bias starts at 0."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.gate = nn.Linear(width, 1)
        nn.init.zeros_(self.gate.bias)

    def forward(self, y_BMTd: Tensor) -> Tensor:
        """Normalise, then scale each head at each position by its own gate."""
        normed = super().forward(y_BMTd)
        return normed * torch.sigmoid(self.gate(normed))
