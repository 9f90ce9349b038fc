"""AdamW (Loshchilov and Hutter 2019, 1711.05101), torch's, which the paper trains with."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from components.optimizers.base import AdamConstants, OptimizerConfig
from components.optimizers.weights import Weight, grouped
from components.registry import register


@register("optimizers", "adamw")
class AdamW(OptimizerConfig):
    """The mean gradient over the root of the mean square; its constants stand in `training`."""

    by_element: ClassVar[bool] = True
    scale_free: ClassVar[bool] = True
    reads_adam: ClassVar[bool] = True

    def build(self, weights: Sequence[Weight], adam: AdamConstants) -> torch.optim.Optimizer:
        betas = (adam.beta1, adam.beta2)
        return torch.optim.AdamW(grouped(weights), betas=betas, eps=adam.epsilon, fused=True)


ADAMW = AdamW()
