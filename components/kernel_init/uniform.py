"""The kernel of evenly distributed values.

The paper's code names it beside the published initialisations.
"""

import math

import torch
from torch import Tensor, nn

from components.kernel_init.base import KernelInitConfig
from components.registry import ComponentError, register


@register("kernel_init", "uniform")
class Uniform(KernelInitConfig):
    """Values drawn evenly between two bounds."""

    low: float = -1.0
    """the lower bound"""
    high: float = 1.0
    """the upper bound, above `low`"""

    def __post_init__(self) -> None:
        if not math.isfinite(self.low):
            raise ComponentError(f"low: got {self.low}, allowed: a finite number")
        if not self.low < self.high < math.inf:
            raise ComponentError(f"high: got {self.high}, allowed: a finite number above low ({self.low})")

    def fill(self, kernel: Tensor, generator: torch.Generator | None) -> None:
        nn.init.uniform_(kernel, self.low, self.high, generator=generator)
