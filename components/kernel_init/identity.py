"""The kernel that changes nothing: the paper's default (section 4.6)."""

import torch
from torch import Tensor

from components.kernel_init.base import KernelInitConfig
from components.registry import register


@register("kernel_init", "identity")
class Identity(KernelInitConfig):
    """1 at the current query and key, 0 elsewhere.

    At the start, the map passes through unchanged.
    """

    def fill(self, kernel: Tensor, generator: torch.Generator | None) -> None:
        with torch.no_grad():
            kernel.zero_()
            kernel[:, 0, kernel.shape[-1] // 2] = 1.0
