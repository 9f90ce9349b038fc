"""Learned positions (Gehring et al. 2017, 1705.03122), as GPT-2 has them."""

from typing import ClassVar

import torch
from torch import nn

from components.positions.base import PositionConfig
from components.registry import register


@register("positions", "learned")
class Learned(PositionConfig):
    """An embedding of each position, added to the token's; there is none beyond `model.context`."""

    any_length: ClassVar[bool] = False

    def added(self, *, context: int, width: int) -> nn.Module:
        # Empty: `initialise` draws the values; drawing them on meta would load torch's compiler.
        weight = torch.empty(context, width)
        return nn.Embedding.from_pretrained(weight, freeze=False)  # type: ignore[no-untyped-call,no-any-return]
