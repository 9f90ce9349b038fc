"""The contract of a kernel initialisation.

Kernels are [M, c_q, c_k] for M heads: entry [m, a, b] weighs the pair of query i - a and key
j - (b - c_k // 2). Kernels of another layout start from one of these: `key_query` padded to one
side cuts its own from a wider one, `joint` takes it for what each head reads of its own map.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from components.registry import Component


@dataclass(frozen=True, kw_only=True)
class KernelInitConfig(Component, family="kernel_init"):
    """Base of all kernel initialisations."""

    @abstractmethod
    def fill(self, kernel: Tensor, generator: torch.Generator | None) -> None:
        """Write the initial values into `kernel` [M, c_q, c_k] in place.

        Random ones come from `generator`.
        """
