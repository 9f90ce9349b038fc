"""The schedule that stays."""

from components.registry import register
from components.schedules.base import ScheduleConfig


@register("schedules", "constant")
class Constant(ScheduleConfig):
    """The peak to the end."""

    def factor(self, step: int, *, steps: int, warmup: int) -> float:
        return 1.0


CONSTANT = Constant()
