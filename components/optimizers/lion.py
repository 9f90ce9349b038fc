"""Lion (Chen et al. 2023, 2302.06675, algorithm 2), which torch does not have."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch

from components.optimizers.base import AdamConstants, OptimizerConfig, check_share
from components.optimizers.weights import Weight, grouped
from components.registry import register


@register("optimizers", "lion")
class Lion(OptimizerConfig):
    """Steps of one size for every weight, by the sign of a mean gradient.

    It wants a third of AdamW's learning rate or less, and as much more weight decay.
    """

    by_element: ClassVar[bool] = True
    scale_free: ClassVar[bool] = True

    beta1: float = 0.9
    """share of its mean of gradients in the sign that a step takes"""
    beta2: float = 0.99
    """share of that mean that a step keeps"""

    def __post_init__(self) -> None:
        check_share("beta1", self.beta1)
        check_share("beta2", self.beta2)

    @property
    def kept(self) -> float:
        return 1.0

    def build(self, weights: Sequence[Weight], adam: AdamConstants) -> torch.optim.Optimizer:
        return SignSteps(grouped(weights), self.beta1, self.beta2)


class SignSteps(torch.optim.Optimizer):
    """Lion's steps; decay is apart from the gradient, as in AdamW."""

    def __init__(self, groups: list[dict[str, Any]], beta1: float, beta2: float) -> None:
        super().__init__(groups, {"beta1": beta1, "beta2": beta2})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; return what `closure` does, which makes the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "mean" not in state:
                    state["mean"] = torch.zeros_like(weight)
                mean, rate = state["mean"], group["lr"]
                weight.mul_(1.0 - rate * group["weight_decay"])
                weight.add_(mean.lerp(weight.grad, 1.0 - group["beta1"]).sign_(), alpha=-rate)
                mean.lerp_(weight.grad, 1.0 - group["beta2"])
        return loss
