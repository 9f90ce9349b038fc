"""The contract of a normalisation after A V, per head, and the RMSNorm that most of them share.

Shapes: B batch, M heads, T tokens, d head width.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass, field

from torch import Tensor, nn

from components.initialise import Draw, default_stream
from components.norms.rms import RMSNorm
from components.registry import LATER, Component, ComponentError, check_sizes


@dataclass(frozen=True, kw_only=True)
class NormConfig(Component, family="norms"):
    """Base of all normalisations."""

    @abstractmethod
    def build(self, *, width: int, model_width: int, layer: int) -> nn.Module:
        """Return a module `y_BMTd -> y_BMTd` for heads of `width` channels.

        One that reads each token alone says so: `each_token_alone = True` in the class of its
        `forward`, or in one derived from it. Generation then computes no token twice.

        `layer` is counted from 1.

        `model_width` is D, the channels of the model around it.
        """

    def pre_norm_scale(self, layer: int) -> float:
        """Return the factor of the block's norms before attention and feed-forward."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class ScaledConfig(NormConfig):
    """Base of the normalisations by an RMSNorm of each head."""

    start: float = field(default=1.0, metadata=LATER)
    """initial weight of the norm; the smaller, the less attention adds to the first steps"""

    def __post_init__(self) -> None:
        if not 0 < self.start < math.inf:
            raise ComponentError(f"start: got {self.start}, allowed: a finite number above 0")


class ScaledRMSNorm(nn.Module):
    """RMSNorm over a head's d channels, times a fixed `scale`.

    All heads share one learned weight, which starts at `start`.
    """

    each_token_alone = True

    def __init__(self, width: int, scale: float = 1.0, start: float = 1.0) -> None:
        super().__init__()
        self.start = start
        self.rms = RMSNorm(width, scale)
        self.initialise(default_stream)

    def initialise(self, draw: Draw) -> None:
        """Fill the norm's weight with where it starts."""
        nn.init.constant_(self.rms.weight, self.start)

    def forward(self, y_BMTd: Tensor) -> Tensor:
        """Normalise each head at each position."""
        normed_BMTd: Tensor = self.rms(y_BMTd)
        return normed_BMTd


def lambda_init(layer: int) -> float:
    """0.8 - 0.6 exp(-0.3 (l - 1)) for layer l counted from 1 (2410.05258, equation 3)."""
    check_sizes(layer=layer)
    return 0.8 - 0.6 * math.exp(-0.3 * (layer - 1))
