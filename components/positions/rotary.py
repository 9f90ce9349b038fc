"""Rotary positions (Su et al. 2021, 2104.09864), which the paper's models have.

Shapes: T tokens, d head width, c = d / 2 channel pairs of a head.
"""

import math
from dataclasses import field

import torch
from torch import Tensor

from components.hints import fits, shown
from components.positions.base import PositionConfig, Turns
from components.registry import BESIDE, ComponentError, register


@register("positions", "rotary")
class Rotary(PositionConfig):
    """Queries and keys are turned by angles that grow with the position (2104.09864)."""

    theta: float = field(default=100_000.0, metadata={BESIDE: "rope_theta"})
    """base of the frequencies: channel pair i of a head turns by theta^(-2 i / d) a token;
    `model.rope_theta` is short for it"""

    def __post_init__(self) -> None:
        if not 0 < self.theta < math.inf:
            raise ComponentError(f"theta: got {self.theta}, allowed: more than 0")

    def turns(self, *, context: int, head_width: int, device: torch.device | None = None) -> Turns:
        turns_T2c = _table(context, self.frequencies(context=context, head_width=head_width, device=device))
        return turns_T2c if self.magnitude == 1.0 else turns_T2c * self.magnitude

    def follow(self, before: PositionConfig) -> bool:
        return isinstance(before, Rotary)

    def frequencies(self, *, context: int, head_width: int, device: torch.device | None = None) -> Tensor:
        """Return the radians by which a token turns each pair [c], float32."""
        return frequencies_of(self.theta, head_width, device)

    @property
    def magnitude(self) -> float:
        """Return the factor of queries and of keys."""
        return 1.0


def rotary_table(tokens: int, head_width: int, theta: float, device: torch.device | None = None) -> Turns:
    """Return the turns of positions 0..tokens-1 by rotary positions of base `theta`."""
    if not isinstance(tokens, torch.SymInt) and (not fits(int, tokens) or tokens < 0):
        raise ComponentError(f"tokens: got {shown(tokens)}, allowed: a whole number, 0 or more")
    if not fits(float, theta) or not 0 < theta < math.inf:
        raise ComponentError(f"theta: got {shown(theta)}, allowed: a finite number above 0")
    return _table(tokens, frequencies_of(theta, head_width, device))


def frequencies_of(theta: float, head_width: int, device: torch.device | None = None) -> Tensor:
    """Return theta^(-2 i / d) of each pair i [c], float32."""
    if not fits(int, head_width) or head_width < 2 or head_width % 2:
        raise ComponentError(f"head_width: got {shown(head_width)}, allowed: an even whole number, 2 or more")
    return theta ** -(torch.arange(0, head_width, 2, device=device, dtype=torch.float32) / head_width)


def _table(tokens: int, frequencies_c: Tensor) -> Turns:
    places_T = torch.arange(tokens, device=frequencies_c.device, dtype=torch.float32)
    angles_Tc = torch.outer(places_T, frequencies_c)
    return torch.stack((angles_Tc.cos(), angles_Tc.sin()), dim=1)
