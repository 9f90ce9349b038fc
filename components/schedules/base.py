"""The contract of a schedule: the learning rate of each step after warm-up, over its peak."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field

from components.registry import LATER, Component, ComponentError


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(Component, family="schedules"):
    """Base of all schedules."""

    @abstractmethod
    def factor(self, step: int, *, steps: int, warmup: int) -> float:
        """Return the learning rate of a step over its peak, from 0 to 1.

        Args:
            step: the step, counted from 0: from `warmup` to `steps`, which is one after the last.
            steps: of the whole run.
            warmup: steps of linear warm-up, in which this is not asked; 0 where there is none.
        """


@dataclass(frozen=True, kw_only=True)
class FallingConfig(ScheduleConfig):
    """Base of the schedules that fall from the peak to a smallest rate."""

    minimum: float = field(default=0.0, metadata=LATER)
    """smallest learning rate, as a share of the peak: it falls from the peak to here"""

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= 1:
            raise ComponentError(f"minimum: got {self.minimum}, allowed: 0 to 1")

    @abstractmethod
    def fallen(self, step: int, *, steps: int, warmup: int) -> float:
        """Return what `factor` returns where `minimum` is 0."""

    def factor(self, step: int, *, steps: int, warmup: int) -> float:
        """Return the rate over its peak, between `minimum` and 1."""
        return self.minimum + (1.0 - self.minimum) * self.fallen(step, steps=steps, warmup=warmup)


def half_cosine(progress: float) -> float:
    """Return the fall from 1 to 0, flat at both ends, after a share of its way."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))
