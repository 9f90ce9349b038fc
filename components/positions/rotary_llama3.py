"""The scaling of Llama 3.1 (2407.21783), as transformers has it under `llama3`."""

import math

import torch
from torch import Tensor

from components.positions.scaled import BandedRotary
from components.registry import ComponentError, register


@register("positions", "rotary_llama3")
class RotaryLlama3(BandedRotary):
    """Rotary whose slow pairs turn a factor less, and whose fast ones stay: that of Llama 3.1."""

    low: float = 1.0
    """pairs that turn at most so often within the trained context are slow"""
    high: float = 4.0
    """pairs that turn at least so often are fast; between the two, frequencies are mixed"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.low < self.high < math.inf:
            raise ComponentError(f"low: got {self.low}, allowed: more than 0, and below high ({self.high})")

    def frequencies(self, *, context: int, head_width: int, device: torch.device | None = None) -> Tensor:
        frequencies_c = super().frequencies(context=context, head_width=head_width, device=device)
        times_c = frequencies_c * (self.trained(context) / (2 * math.pi))
        kept_c = ((times_c - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
        return frequencies_c * (kept_c + (1.0 - kept_c) / self.factor)
