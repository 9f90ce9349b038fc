"""Stochastic gradient descent with momentum (Sutskever et al. 2013), torch's."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from components.optimizers.base import AdamConstants, OptimizerConfig, check_share
from components.optimizers.weights import Weight, grouped
from components.registry import ComponentError, register


@register("optimizers", "sgd")
class Sgd(OptimizerConfig):
    """Steps of a sum of gradients; weight decay is part of the gradient, and of that sum."""

    by_element: ClassVar[bool] = True

    momentum: float = 0.9
    """share of its sum of gradients that a step keeps"""
    nesterov: bool = False
    """true looks a step ahead: it adds the gradient to the sum once more"""

    def __post_init__(self) -> None:
        check_share("momentum", self.momentum)
        if self.nesterov and not self.momentum:
            raise ComponentError("nesterov: got true with a momentum of 0, allowed: more than 0")

    @property
    def kept(self) -> float:
        return 1.0 if self.momentum else 0.0

    def build(self, weights: Sequence[Weight], adam: AdamConstants) -> torch.optim.Optimizer:
        return torch.optim.SGD(grouped(weights), momentum=self.momentum, nesterov=self.nesterov)
