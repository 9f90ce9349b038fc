"""The parts of every attention variant: config contract, projections and rotary embedding.

Shapes: B batch, T tokens, D model width, M heads, d head width (D / M), Q query position, K key
position.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from components.hints import fits, shown
from components.kernels.base import MapOps
from components.kernels.choice import OWN, Choice
from components.kernels.pointwise import rotate
from components.kernels.substitute import Switched, calls_only
from components.registry import Component, ComponentError, check_sizes

Rotary = Tensor
"""cosine and sine of the angles by which each position's channel pairs are turned: [T, 2, d / 2]"""

LAYER_STRIDE = 0x5851F42D4C957F2D
"""between the dropout seeds of two layers: odd, so that no two of them meet"""
CAST = (torch.float32, torch.bfloat16, torch.float16)
"""dtypes that autocast turns into its own"""


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


class Attention(Switched, nn.Module):
    """Query, key, value and output projections around the `attend` of a variant."""

    def __init__(self, *, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        head_width(width, heads)  # refuses what does not divide
        self.width = width
        self.heads = heads
        self.dropout = dropout
        self.dropout_seeds: Tensor | None = None
        """a seed for each sequence of the next batch, see `set_dropout_seeds`"""
        self.ran: Choice | None = None
        """what computed the last forward"""
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x_BTD: Tensor, rotary: Rotary | None = None) -> Tensor:
        """Causal self-attention; `rotary` (see `rotary_table`) turns queries and keys."""
        self._check(x_BTD, rotary)
        query_BTD, key_BTD = self.query(x_BTD), self.key(x_BTD)
        if rotary is not None:
            query_BTD, key_BTD = (rotate(z_BTD, rotary, compiled=self.compiled) for z_BTD in (query_BTD, key_BTD))
        query_BMTd, key_BMTd, value_BMTd = (
            z_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z_BTD in (query_BTD, key_BTD, self.value(x_BTD))
        )
        self.ran = self.implementation(query_BMTd)
        y_BMTd = self.attend(query_BMTd, key_BMTd, value_BMTd)
        out_BTD: Tensor = self.output(y_BMTd.transpose(1, 2).flatten(2))
        return out_BTD

    def _check(self, x_BTD: Any, rotary: Any) -> None:
        """Raise ComponentError for what would fail later, or turn by wrong angles."""
        if not isinstance(x_BTD, Tensor) or x_BTD.dim() != 3 or x_BTD.shape[-1] != self.width:
            raise ComponentError(f"x: got {_described(x_BTD)}, allowed: a tensor [batch, tokens, {self.width}]")
        # A projection of another class, or with hooks, may take another dtype than its weight's.
        plain = type(self.query) is nn.Linear
        if plain and not _go_together(x_BTD, self.query.weight) and calls_only(self.query, nn.Linear):
            allowed = f"{_name(self.query.weight.dtype)}, as the weights are"
            raise ComponentError(f"x: got {_described(x_BTD)}, allowed: {allowed}")
        if rotary is not None:
            self._check_rotary(x_BTD, rotary)

    def _check_rotary(self, x_BTD: Tensor, rotary: Any) -> None:
        width = self.width // self.heads
        if width % 2:
            raise ComponentError(f"rotary: got {_described(rotary)}, allowed: None, as the heads' width {width} is odd")
        dtype = torch.float64 if x_BTD.dtype == getattr(rotary, "dtype", None) == torch.float64 else torch.float32
        shape = (x_BTD.shape[1], 2, width // 2)
        if not isinstance(rotary, Tensor) or rotary.shape != shape or rotary.dtype != dtype:
            allowed = f"{_name(dtype)} {list(shape)}, like rotary_table({shape[0]}, {width}, theta)"
            raise ComponentError(f"rotary: got {_described(rotary)}, allowed: {allowed}")

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
        raise ComponentError(f"dropout seeds: got {_described(seeds_B)}, allowed: one a sequence, int64 [batch]")
    layers = [part for part in model.modules() if isinstance(part, Attention)]
    for place, layer in enumerate(layers):
        layer.dropout_seeds = None if seeds_B is None else seeds_B + place * LAYER_STRIDE % 2**63


def with_present_seeds(module: nn.Module) -> Callable[..., Tensor]:
    """Return a call of `module` that drops weights by the seeds that are set now, also later.

    So a block that is computed anew for its gradient drops what it dropped, whatever seeds were set
    in between.
    """
    layers = [part for part in module.modules() if isinstance(part, Attention)]
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


def _set_seeds(layers: Sequence[Attention], seeds: Sequence[Tensor | None]) -> None:
    for layer, own in zip(layers, seeds, strict=True):
        layer.dropout_seeds = own


def head_width(width: int, heads: int) -> int:
    """Return d, the channels of a head; raise ComponentError where they are no whole number."""
    check_sizes(width=width, heads=heads)
    if width % heads:
        raise ComponentError(f"heads: got {heads}, allowed: a divisor of the width {width}")
    return width // heads


def rotary_table(tokens: int, head_width: int, theta: float, device: torch.device | None = None) -> Rotary:
    """Return the rotary embedding's turns of positions 0..tokens-1 (Su et al., 2104.09864)."""
    if not isinstance(tokens, torch.SymInt) and (not fits(int, tokens) or tokens < 0):
        raise ComponentError(f"tokens: got {shown(tokens)}, allowed: a whole number, 0 or more")
    if not fits(int, head_width) or head_width < 2 or head_width % 2:
        raise ComponentError(f"head_width: got {shown(head_width)}, allowed: an even whole number, 2 or more")
    if not fits(float, theta) or not 0 < theta < math.inf:
        raise ComponentError(f"theta: got {shown(theta)}, allowed: a finite number above 0")
    frequencies = theta ** -(torch.arange(0, head_width, 2, device=device, dtype=torch.float32) / head_width)
    angles = torch.outer(torch.arange(tokens, device=device, dtype=torch.float32), frequencies)
    return torch.stack((angles.cos(), angles.sin()), dim=1)


def _go_together(x: Tensor, weight: Tensor) -> bool:
    """Return whether a linear layer takes both: of equal dtypes, or made so by autocast."""
    if x.dtype == weight.dtype:
        return True
    cast = x.dtype in CAST and weight.dtype in CAST and torch.amp.is_autocast_available(x.device.type)
    return cast and torch.is_autocast_enabled(x.device.type)


def _described(value: Any) -> str:
    return f"{_name(value.dtype)} {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
