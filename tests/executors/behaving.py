"""A user's component whose runs train, raise, kill their process or hang, as they are told."""

import ctypes
import os

import torch
from torch import Tensor, nn

from components.attention import Attention, AttentionConfig
from components.registry import register


@register("attention", "behaving")
class Behaving(AttentionConfig):
    """Every position keeps its own value, until the run misbehaves."""

    how: str = "training"
    """training, raising, dying, hanging, reporting or breaking"""

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        return BehavingAttention(width=width, heads=heads, how=self.how)


class BehavingAttention(Attention):
    def __init__(self, *, width: int, heads: int, how: str) -> None:
        super().__init__(width=width, heads=heads)
        self.how = how

    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        if self.training and self.how == "raising":
            raise RuntimeError("told to raise")
        if self.training and self.how == "reporting":
            raise RuntimeError(f"told to report {os.environ.get('CUDA_VISIBLE_DEVICES')} in {os.getpid()}")
        if self.training and self.how == "breaking":
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        if self.training and self.how == "dying":
            os._exit(7)
        if self.training and self.how == "hanging":
            ctypes.CDLL(None).sleep(1000)
        return value_BMTd
