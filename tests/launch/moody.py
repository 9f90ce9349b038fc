"""A user's component that trains, raises or kills its process as told, only once it is admitted."""

import ctypes
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from components.attention import Attention, AttentionConfig
from components.registry import register


@register("attention", "moody")
class Moody(AttentionConfig):
    """Every position keeps its own value, unless it is in a bad mood."""

    mood: str = "good"
    """good, raising (as long as the file `broken` is there), deadly, or one of MOODS"""

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
        if self.training and self.mood in MOODS:
            attempts = Path(f"{self.mood}.attempts")
            attempt = int(attempts.read_text()) if attempts.exists() else 0
            if attempt < len(MOODS[self.mood]):
                attempts.write_text(str(attempt + 1))
                MOODS[self.mood][attempt]()
        return value_BMTd * float("nan") if self.mood == "nan" else value_BMTd


def taken() -> None:
    """As by the kernel's OOM killer, which counts first."""
    Path("vmstat").write_text("oom_kill 1\n")
    os.kill(os.getpid(), signal.SIGKILL)


def greedy(allocate: Callable[[int], object]) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 39, before[1]))
    try:
        allocate(1 << 40)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def raising() -> None:
    raise RuntimeError("not today")


def faulty() -> None:
    raise torch.AcceleratorError("CUDA error: unspecified launch failure")


MOODS: dict[str, list[Callable[[], object]]] = {
    "dying": [lambda: ctypes.string_at(0), lambda: os._exit(3)],
    "taken": [taken],
    "greedy": [lambda: greedy(torch.ByteTensor), lambda: greedy(bytearray)],
    "stuck": [raising, lambda: ctypes.CDLL(None).sleep(1000)],
    "faulty": [faulty],
    "nan": [],
}
"""what happens at a run's first attempts; each mood is one row's, under one seed"""
