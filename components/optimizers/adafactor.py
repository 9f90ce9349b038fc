"""Adafactor (Shazeer and Stern 2018, 1804.04235), torch's."""

from collections.abc import Sequence

import torch

from components.optimizers.base import AdamConstants, OptimizerConfig
from components.optimizers.weights import Weight, grouped
from components.registry import ComponentError, register


@register("optimizers", "adafactor")
class Adafactor(OptimizerConfig):
    """Steps of AdamW from mean squares of rows and columns alone, relative to a weight's size."""

    decay: float = 0.8
    """the mean of squares at step t keeps 1 - t^-decay of itself"""
    smallest: float = 1e-3
    """a weight's root mean square counts as this at least: the rate is multiplied by it"""
    clip: float = 1.0
    """largest root mean square of a weight's step, before the rate; 1 or more"""

    def __post_init__(self) -> None:
        for name, least in (("decay", 0.0), ("smallest", 0.0), ("clip", 1.0)):
            if not getattr(self, name) >= least:
                raise ComponentError(f"{name}: got {getattr(self, name)}, allowed: {least:g} or more")

    @property
    def kept(self) -> float:
        return 0.1  # a row and a column of each matrix

    def build(self, weights: Sequence[Weight], adam: AdamConstants) -> torch.optim.Optimizer:
        return torch.optim.Adafactor(
            grouped(weights), beta2_decay=-self.decay, eps=(None, self.smallest), d=self.clip, foreach=False
        )
