"""A component of the stage `failures`: its first attempt at a run ends as told.

It is given to a launch by `--components`, and never imported.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from components.attention import Attention, AttentionConfig
from components.registry import register
from mta_lab.devices import own

SHARE = 0.3  # of the free memory that each sequence takes: four do not fit, two do


@register("attention", "failing")
class Failing(AttentionConfig):
    """Every position keeps its own value, unless its fault shows."""

    fault: str = "none"
    """'memory': all sequences of a batch take more than there is; 'device': an error of the GPU"""

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        """Return the attention of a layer."""
        return FailingAttention(width=width, heads=heads, fault=self.fault)


class FailingAttention(Attention):
    """The attention of `Failing`."""

    def __init__(self, *, width: int, heads: int, fault: str) -> None:
        super().__init__(width=width, heads=heads)
        self.fault = fault

    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        """Return the values, or fail as told."""
        if self.training and self.fault == "memory":
            _take(len(value_BMTd), value_BMTd.device)
        if self.training and self.fault == "device" and not Path("faulted").exists():
            Path("faulted").touch()
            _break(value_BMTd.device)
        return value_BMTd


def _take(sequences: int, where: torch.device) -> None:
    if where.type != "cpu":
        torch.empty(int(SHARE * sequences * own.free_memory()), dtype=torch.uint8, device=where)
    elif sequences * SHARE > 1:  # Linux promises memory that it does not have
        raise MemoryError(f"pretended, for {sequences} sequences")


def _break(where: torch.device) -> None:
    if where.type == "cpu":
        raise torch.AcceleratorError("CUDA error: device-side assert triggered (pretended)")
    torch.zeros(1, device=where)[torch.full((1,), 7, device=where)].item()  # an index beyond the end
