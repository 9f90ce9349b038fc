"""Warm-up, stable, decay (Hu et al. 2024, 2404.06395), with shapes of 2405.18392."""

from typing import Literal

from components.registry import ComponentError, register
from components.schedules.base import FallingConfig, half_cosine


@register("schedules", "wsd")
class Wsd(FallingConfig):
    """The peak for most of the run, then a fall over its last part."""

    decay: float = 0.2
    """share of the run's steps in which the rate falls, at its end; more than 0"""
    shape: Literal["linear", "cosine", "square_root"] = "linear"
    """of the fall: a straight line, half a cosine, or 1 - (share of the fall)^0.5"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.decay <= 1:
            raise ComponentError(f"decay: got {self.decay}, allowed: more than 0, at most 1")

    def fallen(self, step: int, *, steps: int, warmup: int) -> float:
        falling = min(max(1, round(self.decay * steps)), steps - warmup)
        progress = max(0, step - (steps - falling)) / falling
        if self.shape == "cosine":
            return half_cosine(progress)
        return 1.0 - (progress if self.shape == "linear" else progress**0.5)
