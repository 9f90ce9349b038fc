"""The contract of an attention variant, and of what it computes between its projections.

Shapes: B batch, T tokens, D model width, M heads, N key-value heads, d head width (D / M).
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from components.attention.cache import LayerCache
from components.kernels.base import MapOps
from components.kernels.choice import OWN, Choice
from components.kernels.substitute import Switched
from components.registry import Component, ComponentError, check_sizes

LAYER_STRIDE = 0x5851F42D4C957F2D
"""between the dropout seeds of two layers: odd, so that no two of them meet"""


@dataclass(frozen=True, kw_only=True)
class AttentionConfig(Component, family="attention"):
    """Base of all attention configs."""

    dropout: float = 0.0
    """probability of dropping an attention weight while training; the model has no other dropout"""

    def __post_init__(self) -> None:
        if not 0.0 <= self.dropout < 1.0:
            raise ComponentError(f"dropout: got {self.dropout}, allowed: 0 <= dropout < 1")

    @abstractmethod
    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        """Return a module `(x_BTD, rotary=None) -> y_BTD` for layer `layer`, counted from 1.

        Raises ComponentError where the variant cannot have that width or number of heads.
        """

    def of_layer(self, layer: int, layers: int) -> "AttentionConfig":
        """Return the attention that layer `layer` of `layers` has (default: this, as every layer).

        What holds for one layer, as `pre_norm_scale` and `exempt`, is asked of it.
        """
        return self

    def pre_norm_scale(self, layer: int) -> float:
        """Return the factor of the norms before attention and feed-forward (default: 1)."""
        return 1.0

    def identity(self) -> Self:
        """Return the setting that starts as plain softmax attention (default: as it is)."""
        return self

    def in_operations(self) -> "AttentionConfig":
        """Return the same attention as lists of operations and a norm (default: as it is).

        A report's effects by factor compare rows in this form.
        """
        return self

    def removals(self) -> Mapping[str, Mapping[str, Any]]:
        """Return by name what can be removed, each with the settings that lack it (default: none).

        `rows: leave_one_out` makes a row of each, and of each of `additions`.
        """
        return {}

    def additions(self) -> Mapping[str, Mapping[str, Any]]:
        """Return by name what can be added to plain attention, with its settings (default: none).

        A component among the settings may stand as its name.
        """
        return {}


class Core(Switched, nn.Module):
    """Attention between the projections: of queries, keys and values, the output of each head.

    An adapter that has projections of its own calls `read`.
    """

    heads_a_mask = 1
    """neighbouring heads that are parts of one: their weights are dropped at the same places, and
    they share key-value heads as one"""

    def __init__(self, *, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.dropout_seeds: Tensor | None = None
        """a seed for each sequence of the next batch, see `set_dropout_seeds`"""
        self.ran: Choice | None = None
        """what computed the last forward"""

    def read(self, query_BMTd: Tensor, key_BNTd: Tensor, value_BNTd: Tensor, cache: LayerCache | None = None) -> Tensor:
        """Return what the queries read, [B, M, T, d] or with fewer and wider heads.

        Keys and values have M heads, or fewer that neighbouring heads share. With a `cache`, the
        tokens follow those that it holds, and it holds them too from then on.
        """
        if cache is not None:
            return self.read_on(query_BMTd, key_BNTd, value_BNTd, cache)
        self.ran = self.implementation(query_BMTd)
        return self.attend(query_BMTd, self._shared(key_BNTd), self._shared(value_BNTd))

    def _shared(self, z_BNTd: Tensor) -> Tensor:
        """Return keys or values for each head; key-value head n is read by M / N heads in a row."""
        if z_BNTd.shape[1] == self.heads:
            return z_BNTd
        batch, heads, tokens, width = z_BNTd.shape
        groups_BGPTd = z_BNTd.reshape(batch, heads // self.heads_a_mask, self.heads_a_mask, tokens, width)
        return groups_BGPTd.repeat_interleave(self.heads // heads, dim=1).flatten(1, 2)

    def map_ops(self) -> MapOps | None:
        """Return the operations on the attention map; None (the default) where there are none.

        A variant that computes attention itself has none.

        Pictures show them, and the maps before and after them.
        """
        return None

    def implementation(self, query_BMTd: Tensor) -> Choice:
        """Return what computes `attend` for these queries, and why."""
        return OWN

    def stores_map(self) -> bool:
        """Return whether training keeps the whole map for the gradient (default: it may)."""
        return True

    @abstractmethod
    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        """Compute causal attention of all heads.

        In the result, heads may be fewer and wider; their order stays.
        """

    def uncached(self) -> str | None:
        """Return why earlier tokens must be computed anew for each further one; None if not.

        Default: nobody knows what a variant reads that computes attention itself.
        """
        return f"{type(self).__name__} computes attention itself, and does not say what it reads of earlier tokens"

    def earlier_queries(self) -> int:
        """Return how many earlier queries `read_on` reads beside all keys and values."""
        return 0

    def read_on(self, query_BMTd: Tensor, key_BNTd: Tensor, value_BNTd: Tensor, cache: LayerCache) -> Tensor:
        """Return what `read` returns for T tokens that follow those of `cache`.

        Only where `uncached` returns None.
        """
        raise ComponentError(f"cache: {self.uncached()}")


def set_dropout_seeds(model: nn.Module, seeds_B: Tensor | None) -> None:
    """Let each attention in `model` drop weights by the seeds [B] int64 of a batch's sequences.

    A sequence then loses the same weights in any batch, implementation and process; each layer
    drops its own. None: by torch's global stream, as when nothing is set.

    Raises:
        ComponentError: the seeds are no [B] int64.
    """
    if seeds_B is not None and not (
        isinstance(seeds_B, Tensor) and seeds_B.dim() == 1 and seeds_B.dtype == torch.int64
    ):
        raise ComponentError(f"dropout seeds: got {described(seeds_B)}, allowed: one a sequence, int64 [batch]")
    layers = [part for part in model.modules() if isinstance(part, Core)]
    for place, layer in enumerate(layers):
        layer.dropout_seeds = None if seeds_B is None else seeds_B + place * LAYER_STRIDE % 2**63


def with_present_seeds(module: nn.Module) -> Callable[..., Tensor]:
    """Return a call of `module` that drops weights by the seeds that are set now, also later.

    So a block that is computed anew for its gradient drops what it dropped, whatever seeds were set
    in between.
    """
    layers = [part for part in module.modules() if isinstance(part, Core)]
    present = [layer.dropout_seeds for layer in layers]

    def call(*inputs: Tensor) -> Tensor:
        others = [layer.dropout_seeds for layer in layers]
        _set_seeds(layers, present)
        try:
            y: Tensor = module(*inputs)
        finally:
            _set_seeds(layers, others)
        return y

    return call


def _set_seeds(layers: Sequence[Core], seeds: Sequence[Tensor | None]) -> None:
    for layer, own in zip(layers, seeds, strict=True):
        layer.dropout_seeds = own


def head_width(width: int, heads: int) -> int:
    """Return d, the channels of a head; raise ComponentError where they are no whole number."""
    check_sizes(width=width, heads=heads)
    if width % heads:
        raise ComponentError(f"heads: got {heads}, allowed: a divisor of the width {width}")
    return width // heads


def described(value: Any) -> str:
    """Return a tensor's dtype and shape, or another value's class, for a message."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
