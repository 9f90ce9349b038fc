"""NTK-aware scaling by bloc97, as the YaRN paper has it (2309.00071, section 3.1)."""

import math

import torch
from torch import Tensor

from components.positions.rotary import frequencies_of
from components.positions.scaled import ScaledRotary
from components.registry import register


@register("positions", "rotary_ntk")
class RotaryNtk(ScaledRotary):
    """Rotary with a larger base: the fastest pair stays, the slowest turns a factor less."""

    def frequencies(self, *, context: int, head_width: int, device: torch.device | None = None) -> Tensor:
        return frequencies_of(self.scaled_theta(head_width), head_width, device)

    def scaled_theta(self, head_width: int) -> float:
        """Return the base for heads of d channels: theta factor^(d / (d - 2))."""
        return self.theta * math.pow(self.factor, head_width / max(1, head_width - 2))
