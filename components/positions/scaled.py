"""Rotary positions that reach further than a model was trained to: the base of all kinds."""

import math
from dataclasses import dataclass

from components.positions.rotary import Rotary
from components.registry import ComponentError


@dataclass(frozen=True, kw_only=True)
class ScaledRotary(Rotary):
    """Base of rotary positions with scaled frequencies."""

    factor: float = 2.0
    """how many times longer sequences may be than those that a model was trained on"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.factor < math.inf:
            raise ComponentError(f"factor: got {self.factor}, allowed: 1 or more")


@dataclass(frozen=True, kw_only=True)
class BandedRotary(ScaledRotary):
    """Base of those that scale a pair by how often it turns within the trained context."""

    trained_context: int | None = None
    """tokens of the sequences that a model was trained on before;
    not set: `model.context` over the factor"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trained_context is not None and self.trained_context < 1:
            raise ComponentError(f"trained_context: got {self.trained_context}, allowed: 1 or more")

    def trained(self, context: int) -> float:
        """Return the tokens of the trained context, for a model of `context`."""
        return self.trained_context or context / self.factor
