"""The kernel of one value, one of the paper's other initialisations (section 4.6)."""

import math

import torch
from torch import Tensor, nn

from components.kernel_init.base import KernelInitConfig
from components.registry import ComponentError, register


@register("kernel_init", "constant")
class Constant(KernelInitConfig):
    """One value everywhere: at the start, the map is blurred evenly over the kernel's reach."""

    value: float = 0.3
    """the value of every entry"""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ComponentError(f"value: got {self.value}, allowed: a finite number")

    def fill(self, kernel: Tensor, generator: torch.Generator | None) -> None:
        nn.init.constant_(kernel, self.value)
