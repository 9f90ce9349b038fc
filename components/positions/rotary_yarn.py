"""YaRN (Peng et al. 2023, 2309.00071), as transformers has it."""

import math

import torch
from torch import Tensor

from components.positions.scaled import BandedRotary
from components.registry import ComponentError, register


@register("positions", "rotary_yarn")
class RotaryYarn(BandedRotary):
    """Rotary whose slow pairs turn a factor less, with larger queries and keys (2309.00071)."""

    low: float = 1.0
    """pairs that turn at most so often within the trained context are slow"""
    high: float = 32.0
    """pairs that turn at least so often stay; between the two, a straight line over the pairs"""
    attention_factor: float | None = None
    """factor of queries and of keys; not set: 1 + 0.1 ln(factor)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.theta <= 1:
            raise ComponentError(f"theta: got {self.theta}, allowed: more than 1")
        if not 0 < self.low < self.high < math.inf:
            raise ComponentError(f"low: got {self.low}, allowed: more than 0, and below high ({self.high})")
        if self.attention_factor is not None and not 0 < self.attention_factor < math.inf:
            raise ComponentError(f"attention_factor: got {self.attention_factor}, allowed: more than 0")

    @property
    def magnitude(self) -> float:
        return self.attention_factor or 1.0 + 0.1 * math.log(self.factor)

    def frequencies(self, *, context: int, head_width: int, device: torch.device | None = None) -> Tensor:
        frequencies_c = super().frequencies(context=context, head_width=head_width, device=device)

        def pair(times: float) -> float:
            """Return which pair, a fraction, turns so often within the trained context."""
            turned = self.trained(context) / (2 * math.pi * times)
            return head_width * math.log(turned) / (2 * math.log(self.theta))

        first, last = max(math.floor(pair(self.high)), 0), min(math.ceil(pair(self.low)), head_width - 1)
        pairs_c = torch.arange(len(frequencies_c), device=device, dtype=torch.float32)
        scaled_c = ((pairs_c - first) / (last - first or 0.001)).clamp(0.0, 1.0)
        return frequencies_c * (1.0 - scaled_c + scaled_c / self.factor)
