"""Attention through the core: operations on the attention map, in whichever implementation runs.

Every variant that says its map as lists of score operations is this class with other lists. The
order is data: `pre_softmax` acts on the logits, `post_softmax` on the weights, each list from first
to last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.attention.base import AttentionConfig, Core
from components.attention.cache import LayerCache
from components.attention.projections import Attention
from components.kernels import streaming, substitute
from components.kernels.base import Conditions, MapOps, undeclared
from components.kernels.choice import IMPLEMENTATIONS, Choice, Impl, choose, refuse
from components.kernels.dropout import Dropout
from components.kernels.last_rows import attend_last, attend_next
from components.registry import ComponentError
from components.score_ops import ScoreOp


@dataclass(frozen=True, kw_only=True)
class CoreConfig(AttentionConfig):
    """Base of the configs whose attention runs through the core."""

    impl: Impl = "auto"
    """what computes it: 'sdpa' (torch's; no operations), 'fused' (compiled,
    CPU), 'streaming' (stores no map), 'eager' or 'auto', the best that can"""


class MapCore(Core):
    """Equations 1 and 4 to 7 of 2504.00927.

    In this order: logits, operations, softmax, operations, dropout, values, norm.
    """

    def __init__(
        self,
        *,
        dropout: float,
        impl: Impl,
        pre_softmax: Sequence[ScoreOp],
        post_softmax: Sequence[ScoreOp],
        norm: nn.Module,
        **sizes: int,
    ) -> None:
        super().__init__(dropout=dropout, **sizes)
        self.impl = impl
        self.pre_softmax = nn.ModuleList(pre_softmax)
        self.post_softmax = nn.ModuleList(post_softmax)
        self.norm = norm
        for place, ops in (("pre_softmax", pre_softmax), ("post_softmax", post_softmax)):
            _check_order(place, ops)
        refuse(impl, [*pre_softmax, *post_softmax], Conditions(drops=dropout > 0))

    def map_ops(self) -> MapOps:
        return MapOps(self.pre_softmax, self.post_softmax)  # type: ignore[arg-type]  # lists of modules, all ScoreOps

    def implementation(self, query_BMTd: Tensor) -> Choice:
        return self._choice(self.impl, Conditions(query_BMTd.device, query_BMTd.dtype, type(query_BMTd)))

    def stores_map(self) -> bool:
        name = self._choice("auto", Conditions()).name if self.impl == "auto" else self.impl
        return IMPLEMENTATIONS[name].stores_map

    def _choice(self, impl: Impl, here: Conditions) -> Choice:
        """Return what computes the operations of this layer, as it is now, on such tensors."""
        ops: list[ScoreOp] = [*self.pre_softmax, *self.post_softmax]
        return choose(impl, ops, here._replace(compiled=self.compiled, drops=self.training and self.dropout > 0))

    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        assert self.ran is not None  # `forward` has chosen
        dropout = self._dropped(query_BMTd) if self.training and self.dropout else None
        y_BMTd = IMPLEMENTATIONS[self.ran.name].attend(query_BMTd, key_BMTd, value_BMTd, self.map_ops(), dropout)
        return self.norm(y_BMTd)  # type: ignore[no-any-return]

    def uncached(self) -> str | None:
        if own := self._own_reading():
            return own
        parts = [part for name, part in self.named_children() if name not in ("pre_softmax", "post_softmax")]
        if silent := [type(part).__name__ for part in parts if not _reads_each_token_alone(part)]:
            return f"{silent[0]} does not say of its forward that it reads each_token_alone"
        return undeclared(self.map_ops().all(), "earlier_queries")

    def _own_reading(self) -> str:
        """Return which method of a variant's own may read no operations, or an empty text."""
        whole = CoreAttention if isinstance(self, Attention) else MapCore
        own = [name for name in _READING if getattr(type(self), name) is not getattr(whole, name)]
        own = own or [name for name in _READING if name in vars(self)]
        return f"{type(self).__name__} has its own {own[0]}" if own else ""

    def add_bias(self, bias: ScoreOp) -> None:
        """Add an operation on the logits that acts after all others there; see `bias_scores`."""
        if own := self._own_reading():
            raise ComponentError(f"positions: got {type(bias).__name__}, a bias on logits, but {own}; {_UNBIASED}")
        if any(True for _ in bias.parameters()):
            raise ComponentError(
                f"positions: got {type(bias).__name__}, which has weights; allowed: a bias without any"
            )
        _check_order("pre_softmax", [*self.pre_softmax, bias])
        self.pre_softmax.append(bias)
        refuse(self.impl, self.map_ops().all(), Conditions(drops=self.dropout > 0))

    def earlier_queries(self) -> int:
        return streaming.reach(self.map_ops().all())

    def read_on(self, query_BMTd: Tensor, key_BNTd: Tensor, value_BNTd: Tensor, cache: LayerCache) -> Tensor:
        if self.training and self.dropout:
            raise ComponentError(
                f"cache: dropout {self.dropout} while training, allowed: evaluation; type model.eval()"
            )
        tokens, first, ops = query_BMTd.shape[2], not cache.tokens, MapOps(*map(tuple, self.map_ops()))
        held = cache.extend(query_BMTd, key_BNTd, value_BNTd, keys_by_channel=bool(ops.all()))
        if first and not any(cache.padding):
            return self.read(query_BMTd, key_BNTd, value_BNTd)
        query_BMQd, key_BNKd, value_BNKd = held
        recent, cache.recent, parts = cache.recent, None, []
        if tokens == 1 and not cache.padding and query_BMQd.shape[2] == 1 + streaming.reach(ops.all()):
            given = query_BMQd, self._shared(key_BNKd), self._shared(value_BNKd)
            y_BMTd, cache.recent = attend_next(*given, ops, recent)
            return self.norm(y_BMTd)  # type: ignore[no-any-return]
        for rows, padding in cache.spans():
            seen = cache.tokens - padding
            new, queries = max(0, min(tokens, seen)), max(0, min(query_BMQd.shape[2], seen))
            part_BMtd = attend_last(
                query_BMQd[rows, :, query_BMQd.shape[2] - queries :],
                self._shared(key_BNKd[rows, :, padding:]),
                self._shared(value_BNKd[rows, :, padding:]),
                ops,
                new,
            )
            parts.append(F.pad(part_BMtd, (0, 0, tokens - new, 0)) if new < tokens else part_BMtd)
        return self.norm(parts[0] if len(parts) == 1 else torch.cat(parts))  # type: ignore[no-any-return]

    def _dropped(self, query_BMTd: Tensor) -> Dropout:
        """Return what is dropped: by the seeds that were set, else by torch's global stream."""
        seeds_B = self.dropout_seeds
        if seeds_B is None:
            seeds_B = torch.randint(2**62, query_BMTd.shape[:1], device=query_BMTd.device)
        elif seeds_B.shape != query_BMTd.shape[:1]:
            allowed = f"as many as sequences ({len(query_BMTd)})"
            raise ComponentError(f"dropout seeds: got {len(seeds_B)}, allowed: {allowed}")
        elif seeds_B.device != query_BMTd.device:
            raise ComponentError(f"dropout seeds: got them on {seeds_B.device}, allowed: on {query_BMTd.device}")
        return Dropout(self.dropout, seeds_B, self.heads_a_mask)


class CoreAttention(MapCore, Attention):
    """A `MapCore` between projections."""

    def core(self) -> MapCore:
        """Return the same attention without projections, for an adapter that has its own.

        Operations and norm are those of this layer.
        """
        found = MapCore(
            heads=self.heads,
            dropout=self.dropout,
            impl=self.impl,
            pre_softmax=[*self.pre_softmax],
            post_softmax=[*self.post_softmax],
            norm=self.norm,
        )
        found.heads_a_mask = self.heads_a_mask
        return found


def bias_scores(layer: nn.Module, bias: ScoreOp) -> None:
    """Let an attention layer add a bias to its logits, after all operations on them.

    Raises ComponentError for one that computes its logits itself, or whose `impl` cannot add it.
    """
    if not isinstance(layer, MapCore):
        given = f"got {type(bias).__name__}, a bias on logits, but {type(layer).__name__} computes attention itself"
        raise ComponentError(f"positions: {given}; {_UNBIASED}")
    layer.add_bias(bias)


_UNBIASED = "allowed: rotary and other positions that are no bias, or attention by operations on the map"
_READING = ("attend", "forward", "map_ops", "read", "read_on")
"""methods that the cached computation stands for, and is made of"""


def _reads_each_token_alone(module: nn.Module) -> bool:
    """Return whether a norm or projection says so of the very `forward` that it runs."""
    if "forward" in vars(module) or substitute.hooked(module):
        return False
    if type(module) in (nn.Identity, nn.Linear, nn.LayerNorm, nn.RMSNorm):
        return True
    home = next(cls for cls in type(module).__mro__ if {"each_token_alone", "forward"} & vars(cls).keys())
    return vars(home).get("each_token_alone", False) is True


def _check_order(place: str, ops: Sequence[ScoreOp]) -> None:
    """Raise ComponentError for a list that is not of score operations, or in a wrong order.

    An operation that reads invisible places cannot follow one that writes to them.
    """
    for index, op in enumerate(ops):
        if not isinstance(op, ScoreOp):
            raise ComponentError(f"{place}: {type(op).__name__} is no ScoreOp: its `build` must return one")
        before = [other for other in ops[:index] if not (other.pointwise and "pointwise" in other.declared)]
        if op.reads_invisible and before:
            raise ComponentError(
                f"{place}: {type(op).__name__} after {type(before[0]).__name__}, which leaves nothing to read at keys "
                "after the query; allowed: after operations on each place alone, like head_mixing, or mask: double"
            )
