"""The contract of residual norms: how a block joins its sublayers to the residual stream.

Shapes: B batch, T tokens, D model width.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from components.norms.rms import RMSNorm
from components.registry import Component, ComponentError
from components.residual_norms.layer_norm import LayerNorm

Kind = Literal["rms", "layer"]
Sublayer = Callable[[Tensor], Tensor]
"""attention or a feed-forward, `x_BTD -> y_BTD`"""


@dataclass(frozen=True, kw_only=True)
class ResidualNormConfig(Component, family="residual_norms"):
    """Base of all residual norms."""

    kept: ClassVar[int] = 1
    """rows of the model's width that the norms of a sublayer keep of a token for the gradient"""

    @abstractmethod
    def build(self, *, width: int, scale: float, layer: int, layers: int) -> nn.Module:
        """Return the norms of one sublayer of layer `layer`, counted from 1; see `join`.

        `scale` is the factor of the norm before the sublayer that the attention asks for (see
        `pre_norm_scale`), mostly 1. Raises ComponentError for another one where there is no such
        norm.
        """

    @abstractmethod
    def join(self, norm: nn.Module, x_BTD: Tensor, sublayer: Sublayer) -> Tensor:
        """Return the residual stream behind the sublayer; `norm` is what `build` made for it.

        It calls the sublayer once, and reads each token alone: generation computes none of them
        twice.
        """

    def final(self, *, width: int) -> nn.Module:
        """Return the norm behind the last block, `x_BTD -> y_BTD` (default: an RMSNorm)."""
        return RMSNorm(width)


@dataclass(frozen=True, kw_only=True)
class KindConfig(ResidualNormConfig):
    """Base of those whose norms are all of one kind."""

    norm: Kind = "rms"
    """'rms': RMSNorm, as in a Llama; 'layer': LayerNorm, with a bias, as in GPT-2"""

    def one(self, width: int, scale: float = 1.0) -> nn.Module:
        """Return a norm of the kind, times a fixed `scale`."""
        return RMSNorm(width, scale) if self.norm == "rms" else LayerNorm(width, scale)

    def final(self, *, width: int) -> nn.Module:
        """Return one of the kind."""
        return self.one(width)


def refuse_scale(name: str, scale: float) -> None:
    """Raise ComponentError for a `scale` of norms that stand before no sublayer."""
    if scale != 1.0:
        said = f"got '{name}', which has no norm before a sublayer, and the attention scales those (layer_norm_block)"
        raise ComponentError(f"{said}; allowed: pre, sandwich, or another norm of the attention")
