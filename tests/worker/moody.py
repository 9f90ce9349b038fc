"""A user's component that trains well, raises, or kills its process, as it is told; only once it is admitted."""

import os
import signal
from pathlib import Path

from torch import Tensor, nn

from components.attention import Attention, AttentionConfig
from components.registry import register


@register("attention", "moody")
class Moody(AttentionConfig):
    """Every position keeps its own value, unless it is in a bad mood."""

    mood: str = "good"
    """good, raising (as long as the file `broken` is there) or deadly"""

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        return MoodyAttention(width=width, heads=heads, mood=self.mood)


class MoodyAttention(Attention):
    def __init__(self, *, width: int, heads: int, mood: str) -> None:
        super().__init__(width=width, heads=heads)
        self.mood = mood

    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        if self.training and self.mood == "raising" and Path("broken").exists():
            raise RuntimeError("the mood is bad\nand a second line")
        if self.training and self.mood == "deadly":
            if Path("killed").exists():
                os._exit(7)
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return value_BMTd
