"""The contract of an optimizer: what turns gradients into steps."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from components.optimizers.weights import Weight
from components.registry import Component, ComponentError


@dataclass(frozen=True, kw_only=True)
class AdamConstants:
    """AdamW's constants; a sweep sets them in `training`."""

    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-8


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Component, family="optimizers"):
    """Base of all optimizers."""

    by_element: ClassVar[bool] = False
    """whether an element's step follows from that element's own gradients alone:
    only then can several devices each train a shard of the weights"""
    scale_free: ClassVar[bool] = False
    """whether it is `by_element`, and gradients that are all twice as large make the same steps:
    only then do learning rates that an initialiser sets for each weight hold"""
    reads_adam: ClassVar[bool] = False
    """whether `build` reads the constants of AdamW"""

    @property
    def kept(self) -> float:
        """Return how many numbers it keeps for each weight, at most: its share of the memory."""
        return 2.0

    @abstractmethod
    def build(self, weights: Sequence[Weight], adam: AdamConstants) -> torch.optim.Optimizer:
        """Return the optimizer of the weights, each at its own rate and decay.

        A rate is the peak: before each step the schedule multiplies the `lr` of every parameter
        group, which scales the whole step, the decay included. Its state must be tensors and plain
        numbers, so that a run can be kept and go on to the bit.
        """


def check_share(name: str, value: float) -> None:
    """Raise ComponentError unless the setting is at least 0 and below 1."""
    if not 0 <= value < 1:
        raise ComponentError(f"{name}: got {value}, allowed: 0 <= {name} < 1")
