"""The contract of an implementation of the attention core.

The core is causal softmax attention with operations on its map.

Shapes: B batch, M heads, T tokens, d head width.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from components.kernels import substitute
from components.kernels.dropout import Dropout
from components.score_ops.base import ScoreOp


class MapOps(NamedTuple):
    """The operations on a layer's attention map, each list in the order in which they act."""

    pre: Sequence[ScoreOp] = ()
    """on the logits"""
    post: Sequence[ScoreOp] = ()
    """on the weights, after the softmax"""

    def all(self) -> list[ScoreOp]:
        """Return the operations of both lists, in order."""
        return [*self.pre, *self.post]


class Conditions(NamedTuple):
    """The conditions of a computation before it runs; None stands for what is not known yet."""

    device: torch.device | None = None
    dtype: torch.dtype | None = None
    kind: type = Tensor
    """the class of the queries"""
    compiled: bool = True
    """whether compiled operators are on, see `substitute.Switched`"""
    drops: bool = False
    """whether weights of the map are dropped"""


class Implementation(ABC):
    """One way to compute the attention core, equal to the others up to rounding.

    To add one, subclass this in a file of this folder and enter an object of the class in
    `choice.IMPLEMENTATIONS`. There the setting `impl`, `auto`, `mta-lab bench op`, the check of a
    user's components and the tests find it.
    """

    name: ClassVar[str]
    """the word for it in the setting `impl`"""
    compiled: ClassVar[bool] = False
    """whether it is one compiled operator, which `compiled: false` turns off"""
    stores_map: ClassVar[bool] = False
    """True if training keeps whole attention maps for the gradient"""
    takes_operations: ClassVar[bool] = True
    """whether it can compute any operation on the map;
    `auto` says nothing of one that takes none and is given some"""

    @abstractmethod
    def attend(
        self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor, ops: MapOps, dropout: Dropout | None
    ) -> Tensor:
        """Return [B, M, T, d]: causal softmax with `ops` and dropout, times the values.

        `obstacle` must have returned None for the same operations and tensors; `dropout` is None
        outside training.
        """

    @abstractmethod
    def obstacle(self, ops: Sequence[ScoreOp], here: Conditions) -> str | None:
        """Return in a short phrase why it cannot compute `ops` here; None where it can.

        What the conditions leave open is no reason.
        """

    @abstractmethod
    def priority(self, dtype: torch.dtype | None) -> int:
        """Return its rank for tensors of `dtype`; ranks differ.

        `auto` takes the highest rank without an obstacle.
        """

    def drawback(self) -> str | None:
        """Return why `auto` passes over it here although it can run, or None (the default)."""
        return None


def undeclared(ops: Sequence[ScoreOp], name: str) -> str | None:
    """Return the operations that do not declare `name`, or declare it of other code than they run.

    `name` is 'stage' or 'earlier_queries'. None where all of them declare it of what runs.
    """
    silent = [op for op in ops if (op.stage() if name == "stage" else op.earlier_queries) is None]
    if silent:
        lacks = "has no fused form" if name == "stage" else f"does not declare its {name}"
        return f"{class_names(silent)} {lacks}"
    inherits = [op for op in ops if name not in op.declared]
    if inherits:
        return f"{class_names(inherits)} inherits its {name} and overrides what that stands for"
    for op in ops:
        if why := substitute.altered(op):
            return f"{class_names([op])} has {why}"
    return None


def class_names(ops: Sequence[ScoreOp]) -> str:
    """Return the classes of the operations by name, each once."""
    return ", ".join(dict.fromkeys(type(op).__name__ for op in ops))
