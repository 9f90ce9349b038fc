"""The kernel that runs along the diagonal.

The paper's code names it beside the published initialisations.
"""

import torch
from torch import Tensor

from components.kernel_init.base import KernelInitConfig
from components.registry import register


@register("kernel_init", "diagonal")
class Diagonal(KernelInitConfig):
    """1 where query and key go back by the same number of tokens, 0 elsewhere.

    Matches of earlier tokens add up.
    """

    def fill(self, kernel: Tensor, generator: torch.Generator | None) -> None:
        centre = kernel.shape[-1] // 2
        with torch.no_grad():
            kernel.zero_()[..., centre:].diagonal(dim1=1, dim2=2).fill_(1.0)
