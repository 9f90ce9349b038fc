"""Attention through the core: operations on the attention map, in whichever implementation runs.

Every variant that says its map as lists of score operations is this class with other lists. The
order is data: `pre_softmax` acts on the logits, `post_softmax` on the weights, each list from first
to last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from components.attention.base import Attention, AttentionConfig
from components.kernels.base import Conditions, MapOps
from components.kernels.choice import IMPLEMENTATIONS, Choice, Impl, choose, refuse
from components.kernels.dropout import Dropout
from components.registry import ComponentError
from components.score_ops import ScoreOp


@dataclass(frozen=True, kw_only=True)
class CoreConfig(AttentionConfig):
    """Base of the configs whose attention runs through the core."""

    impl: Impl = "auto"
    """what computes it: 'sdpa' (torch's; no operations), 'fused' (compiled,
    CPU), 'streaming' (stores no map), 'eager' or 'auto', the best that can"""


class CoreAttention(Attention):
    """Equations 1 and 4 to 7 of 2504.00927.

    In this order: logits, operations, softmax, operations, dropout, values, norm.
    """

    heads_a_mask = 1
    """neighbouring heads whose weights are dropped at the same places"""

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        dropout: float,
        impl: Impl,
        pre_softmax: Sequence[ScoreOp],
        post_softmax: Sequence[ScoreOp],
        norm: nn.Module,
    ) -> None:
        super().__init__(width=width, heads=heads, dropout=dropout)
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
