"""The schedule of the first Transformer (Vaswani et al. 2017, 1706.03762, equation 3)."""

from components.registry import ComponentError, register
from components.schedules.base import FallingConfig


@register("schedules", "inverse_square_root")
class InverseSquareRoot(FallingConfig):
    """Falls with the root of the steps, whatever the length of the run: it can be trained on."""

    timescale: int | None = None
    """steps after which the rate is 0.7 of the peak; not set: as many as it rose before"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timescale is not None and self.timescale < 1:
            raise ComponentError(f"timescale: got {self.timescale}, allowed: 1 or more")

    def fallen(self, step: int, *, steps: int, warmup: int) -> float:
        scale = self.timescale or max(1, warmup)
        return float((scale / (step - warmup + scale)) ** 0.5)
