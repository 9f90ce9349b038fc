"""Position interpolation (Chen et al. 2023, 2306.15595)."""

import torch
from torch import Tensor

from components.positions.scaled import ScaledRotary
from components.registry import register


@register("positions", "rotary_linear")
class RotaryLinear(ScaledRotary):
    """Rotary with each position divided by a factor: linear interpolation (2306.15595)."""

    def frequencies(self, *, context: int, head_width: int, device: torch.device | None = None) -> Tensor:
        return super().frequencies(context=context, head_width=head_width, device=device) / self.factor
