"""The contract of positions: what tells a decoder the order of its tokens.

Shapes: B batch, T tokens, D model width, M heads, d head width.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from components.registry import Component
from components.score_ops.base import ScoreOp

Turns = Tensor
"""cosine and sine of the angles by which each position's channel pairs are turned: [T, 2, d / 2]"""


@dataclass(frozen=True, kw_only=True)
class PositionConfig(Component, family="positions"):
    """Base of all positions; a variant overrides one of the three methods, or several."""

    any_length: ClassVar[bool] = True
    """whether the weights of a trained model can read sequences longer than its context"""

    def follow(self, before: "PositionConfig") -> bool:
        """Return whether weights that were trained with positions `before` go on with these.

        Default: only if they are the same.
        """
        return self == before

    def turns(self, *, context: int, head_width: int, device: torch.device | None = None) -> Turns | None:
        """Return how queries and keys turn at positions 0 to context - 1 (default: not at all).

        float32 [context, 2, d / 2]: `components.kernels.pointwise.rotate` says what a turn does.
        """
        return None

    def added(self, *, context: int, width: int) -> nn.Module | None:
        """Return a module whose output is added to the tokens' embeddings (default: None).

        It maps positions, int64 [T] or [B, T] below `context`, to [T, D] or [B, T, D].
        """
        return None

    def bias(self, *, heads: int, layer: int) -> ScoreOp | None:
        """Return what layer `layer`, counted from 1, adds to its logits (default: None).

        It acts after all operations on the logits, and keeps their contract (see `ScoreOp`). It has
        no weights: those of operations are found by their place among the operations.
        """
        return None
