"""Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon), torch's.

Its adjusted rate is of Liu et al. 2025 (2502.16982, section 2.2).
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch

from components.optimizers.adamw import ADAMW
from components.optimizers.base import AdamConstants, OptimizerConfig, check_share
from components.optimizers.several import Several
from components.optimizers.weights import Weight, grouped
from components.registry import ComponentError, register


@register("optimizers", "muon")
class Muon(OptimizerConfig):
    """Steps of an orthogonal matrix near the mean gradient, for all weights that are matrices.

    Other weights have an optimizer beside it, at the same learning rate.
    """

    reads_adam: ClassVar[bool] = True

    momentum: float = 0.95
    """share of its mean of gradients that a step keeps"""
    nesterov: bool = True
    """true mixes the gradient once more into that mean"""
    iterations: int = 5
    """Newton-Schulz iterations towards an orthogonal matrix, 1 to 99"""
    adjust: Literal["match_rms_adamw", "original"] = "match_rms_adamw"
    """factor of the rate for a matrix of A x B: 0.2 max(A, B)^0.5, whose steps are as large as
    AdamW's, or max(1, A / B)^0.5"""
    rest: OptimizerConfig = ADAMW
    """the optimizer of embeddings, norms and kernels"""

    def __post_init__(self) -> None:
        check_share("momentum", self.momentum)
        if not 1 <= self.iterations <= 99:
            raise ComponentError(f"iterations: got {self.iterations}, allowed: 1 to 99")
        if isinstance(self.rest, Muon):
            raise ComponentError("rest: got 'muon', which is for matrices; allowed: another optimizer")

    def build(self, weights: Sequence[Weight], adam: AdamConstants) -> torch.optim.Optimizer:
        matrices = [weight for weight in weights if weight.kind == "matrices"]
        rest = [weight for weight in weights if weight.kind != "matrices"]
        parts: list[torch.optim.Optimizer] = []
        if matrices:
            parts.append(
                torch.optim.Muon(
                    grouped(matrices),
                    momentum=self.momentum,
                    nesterov=self.nesterov,
                    ns_steps=self.iterations,
                    adjust_lr_fn=self.adjust,
                )
            )
        return Several([*parts, *([self.rest.build(rest, adam)] if rest else [])])
