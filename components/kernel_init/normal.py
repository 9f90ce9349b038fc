"""The kernel of normally distributed values.

The paper's code names it beside the published initialisations.
"""

import math

import torch
from torch import Tensor, nn

from components.kernel_init.base import KernelInitConfig
from components.registry import ComponentError, register


@register("kernel_init", "normal")
class Normal(KernelInitConfig):
    """Values drawn from a normal distribution around 0, cut at 3 standard deviations."""

    std: float = 0.3
    """the standard deviation before the cut"""

    def __post_init__(self) -> None:
        if not 0.0 < self.std < math.inf:
            raise ComponentError(f"std: got {self.std}, allowed: a finite number above 0")

    def fill(self, kernel: Tensor, generator: torch.Generator | None) -> None:
        nn.init.trunc_normal_(kernel, 0.0, self.std, -3 * self.std, 3 * self.std, generator=generator)
