"""The layer around attention: projections of queries, keys, values and output, rotary embedding.

Shapes: B batch, T tokens, D model width, M heads, N key-value heads, d head width (D / M, or set).
"""

from typing import Any

import torch
from torch import Tensor, nn

from components.attention.base import Core, described, head_width
from components.attention.cache import LayerCache
from components.kernels.pointwise import rotate
from components.kernels.substitute import calls_only
from components.norms.rms import RMSNorm
from components.positions.base import Turns
from components.registry import ComponentError

CAST = (torch.float32, torch.bfloat16, torch.float16)
"""dtypes that autocast turns into its own"""


class Attention(Core):
    """Query, key, value and output projections around the `attend` of a variant."""

    writes_residual = ("output",)
    query_scale = 1.0
    """factor of queries, see `scale_queries`"""

    def __init__(self, *, width: int, heads: int, dropout: float = 0.0) -> None:
        head_width(width, heads)  # refuses what does not divide
        super().__init__(heads=heads, dropout=dropout)
        self.width = width
        """of all heads together"""
        self.model_width = width
        """D, of its input and output"""
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.query_norm: nn.Module | None = None
        self.key_norm: nn.Module | None = None

    def forward(self, x_BTD: Tensor, rotary: Turns | None = None, cache: LayerCache | None = None) -> Tensor:
        """Causal self-attention; `rotary` (see `rotary_table`) turns queries and keys.

        With a `cache`, the tokens follow those that it holds, and `rotary` has their positions; it
        is [B, T, 2, d / 2] where these differ between sequences.
        """
        self._check(x_BTD, rotary, cache)
        query_BTD, key_BTD = self.query(x_BTD), self.key(x_BTD)
        if self.query_norm is not None and self.key_norm is not None:
            query_BTD, key_BTD = self._normed(self.query_norm, query_BTD), self._normed(self.key_norm, key_BTD)
        if self.query_scale != 1.0:
            query_BTD = query_BTD * self.query_scale
        if rotary is not None:
            query_BTD, key_BTD = (self._turned(z_BTD, rotary) for z_BTD in (query_BTD, key_BTD))
        width = self.width // self.heads
        query_BMTd, key_BNTd, value_BNTd = (
            z_BTD.unflatten(-1, (-1, width)).transpose(1, 2) for z_BTD in (query_BTD, key_BTD, self.value(x_BTD))
        )
        y_BMTd = self.read(query_BMTd, key_BNTd, value_BNTd, cache)
        out_BTD: Tensor = self.output(y_BMTd.transpose(1, 2).flatten(2))
        return out_BTD

    def set_model_width(self, width: int) -> None:
        """Read and write `width` channels, other than the heads have together."""
        self.model_width = width
        self.query, self.key, self.value = (nn.Linear(width, self.width, bias=False) for _ in range(3))
        self.output = nn.Linear(self.width, width, bias=False)

    def share_keys(self, kv_heads: int) -> None:
        """Have `kv_heads` heads of keys and values, each read by neighbouring heads (2305.13245).

        Raises ComponentError where they do not divide the heads.
        """
        allowed = [n for n in range(self.heads_a_mask, self.heads + 1, self.heads_a_mask) if self.heads % n == 0]
        if kv_heads not in allowed:
            raise ComponentError(f"kv_heads: got {kv_heads}, allowed for {self.heads} heads: {allowed}")
        narrow = kv_heads * (self.width // self.heads)
        self.key = nn.Linear(self.model_width, narrow, bias=False)
        self.value = nn.Linear(self.model_width, narrow, bias=False)

    def norm_heads(self) -> None:
        """Have an RMSNorm of each head's queries, and one of its keys, before they are turned.

        All heads share the weight, as in Qwen3 (2505.09388).
        """
        self.query_norm, self.key_norm = (RMSNorm(self.width // self.heads) for _ in range(2))

    def _normed(self, norm: nn.Module, z_BTD: Tensor) -> Tensor:
        """Return the normed heads, in the dtype that they had."""
        heads_BTMd = z_BTD.view(*z_BTD.shape[:-1], -1, self.width // self.heads)
        normed_BTD: Tensor = norm(heads_BTMd).flatten(-2).to(z_BTD.dtype)
        return normed_BTD

    def _turned(self, z_BTD: Tensor, rotary: Turns) -> Tensor:
        if rotary.dim() == 3:
            return rotate(z_BTD, rotary, compiled=self.compiled)
        flat_1TD = z_BTD.flatten(0, 1).unsqueeze(0)  # as one sequence, whose positions are anything
        return rotate(flat_1TD, rotary.flatten(0, 1), compiled=self.compiled).view_as(z_BTD)

    def _check(self, x_BTD: Any, rotary: Any, cache: LayerCache | None) -> None:
        """Raise ComponentError for what would fail later, or turn by wrong angles."""
        if not isinstance(x_BTD, Tensor) or x_BTD.dim() != 3 or x_BTD.shape[-1] != self.model_width:
            raise ComponentError(f"x: got {described(x_BTD)}, allowed: a tensor [batch, tokens, {self.model_width}]")
        # A projection of another class, or with hooks, may take another dtype than its weight's.
        plain = type(self.query) is nn.Linear
        if plain and not _go_together(x_BTD, self.query.weight) and calls_only(self.query, nn.Linear):
            allowed = f"{_name(self.query.weight.dtype)}, as the weights are"
            raise ComponentError(f"x: got {described(x_BTD)}, allowed: {allowed}")
        if rotary is not None:
            self._check_rotary(x_BTD, rotary, cache)

    def _check_rotary(self, x_BTD: Tensor, rotary: Any, cache: LayerCache | None) -> None:
        width = self.width // self.heads
        if width % 2:
            raise ComponentError(f"rotary: got {described(rotary)}, allowed: None, as the heads' width {width} is odd")
        dtype = torch.float64 if x_BTD.dtype == getattr(rotary, "dtype", None) == torch.float64 else torch.float32
        shape = (x_BTD.shape[1], 2, width // 2)
        shapes = [shape] if cache is None else [shape, (x_BTD.shape[0], *shape)]
        if not isinstance(rotary, Tensor) or rotary.shape not in shapes or rotary.dtype != dtype:
            allowed = f"{_name(dtype)} {list(shape)}, like rotary_table({shape[0]}, {width}, theta)"
            raise ComponentError(f"rotary: got {described(rotary)}, allowed: {allowed}")


def set_model_width(layer: nn.Module, width: int) -> None:
    """Let an attention layer read and write `width` channels, see `Attention.set_model_width`.

    Raises ComponentError for one that has projections of its own.
    """
    if not isinstance(layer, Attention):
        said = f"head_width: got one that is not width / heads, but {type(layer).__name__} has projections of its own"
        raise ComponentError(f"{said}; allowed: variants derived from Attention")
    layer.set_model_width(width)


def share_keys(layer: nn.Module, kv_heads: int) -> None:
    """Give an attention layer `kv_heads` key-value heads, see `Attention.share_keys`.

    Raises ComponentError for one that has projections of its own.
    """
    if not isinstance(layer, Attention):
        said = f"kv_heads: got {kv_heads}, but {type(layer).__name__} makes keys and values itself"
        raise ComponentError(f"{said}; allowed: variants derived from Attention")
    layer.share_keys(kv_heads)


def scale_queries(layer: nn.Module, factor: float) -> None:
    """Multiply the queries of an attention layer, and so its logits, by a factor.

    Raises ComponentError for one that has projections of its own.
    """
    if not isinstance(layer, Attention) or type(layer).forward is not Attention.forward:
        said = f"queries are multiplied by {factor:.3g}, but {type(layer).__name__} makes them itself"
        raise ComponentError(f"{said}; allowed: variants derived from Attention, with its forward")
    layer.query_scale = factor


def norm_heads(layer: nn.Module) -> None:
    """Norm the queries and keys of an attention layer, see `Attention.norm_heads`.

    Raises ComponentError for one that makes them itself.
    """
    if not isinstance(layer, Attention) or type(layer).forward is not Attention.forward:
        said = f"qk_norm: got true, but {type(layer).__name__} makes queries and keys itself"
        raise ComponentError(f"{said}; allowed: variants derived from Attention, with its forward")
    layer.norm_heads()


def _go_together(x: Tensor, weight: Tensor) -> bool:
    """Return whether a linear layer takes both: of equal dtypes, or made so by autocast."""
    if x.dtype == weight.dtype:
        return True
    cast = x.dtype in CAST and weight.dtype in CAST and torch.amp.is_autocast_available(x.device.type)
    return cast and torch.is_autocast_enabled(x.device.type)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
