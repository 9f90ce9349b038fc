"""The kernel of nothing, one of the paper's other initialisations (section 4.6)."""

import torch
from torch import Tensor, nn

from components.kernel_init.base import KernelInitConfig
from components.registry import register


@register("kernel_init", "zero")
class Zero(KernelInitConfig):
    """0 everywhere: at the start, logits are all alike and attention is uniform."""

    def fill(self, kernel: Tensor, generator: torch.Generator | None) -> None:
        nn.init.zeros_(kernel)
