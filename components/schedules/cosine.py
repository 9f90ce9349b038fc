"""The cosine schedule (Loshchilov and Hutter 2017, 1608.03983), without restarts."""

from components.registry import register
from components.schedules.base import FallingConfig, half_cosine


@register("schedules", "cosine")
class Cosine(FallingConfig):
    """Half a cosine from the peak down: slow at both ends."""

    def fallen(self, step: int, *, steps: int, warmup: int) -> float:
        return half_cosine((step - warmup) / (steps - warmup))
