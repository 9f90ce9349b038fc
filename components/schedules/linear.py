"""The schedule of the paper (section 4.2): a straight line."""

from components.registry import register
from components.schedules.base import FallingConfig


@register("schedules", "linear")
class Linear(FallingConfig):
    """A straight line from the peak down, which would be at its end one step after the last."""

    def fallen(self, step: int, *, steps: int, warmup: int) -> float:
        return (steps - step) / (steps - warmup)


LINEAR = Linear()
