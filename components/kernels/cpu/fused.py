"""The attention core as one C++ kernel for the CPU (`csrc/`): block by block, no T x T in memory.

A block's maps of all heads that a mixing couples stay in a core's cache; convolutions and matrix
products are blocked in registers; the backward pass computes each block anew. float32 and bfloat16
tensors, computed in float32. Results do not depend on the number of threads, to the bit. It has no
second derivative. Of its memory, up to 256 MB are kept from call to call (`csrc/memory.h`).

Shapes: B batch, M heads, T tokens, d head width.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from components.kernels import substitute
from components.kernels.base import Conditions, Implementation, MapOps, undeclared
from components.kernels.cpu import library
from components.kernels.dropout import Dropout
from components.score_ops.base import ScoreOp

KEPT = (0.0, None, 1)
"""the fields of a Dropout that drops nothing"""
DTYPES = (torch.float32, torch.bfloat16)


class Fused(Implementation):
    """Each operation as its `stage()` says, in one pass over the visible part of the map."""

    name = "fused"
    compiled = True

    def attend(
        self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor, ops: MapOps, dropout: Dropout | None
    ) -> Tensor:
        found = [op.stage() for op in ops.all()]
        stages = [stage for stage in found if stage]
        assert len(stages) == len(found), "every operation needs a fused form"
        kinds: list[str] = [stage.kind for stage in stages]
        kinds.insert(len(ops.pre), "softmax")
        operands = (query_BMTd, key_BMTd, value_BMTd, *(stage.weight for stage in stages))
        y_BMTd: Tensor = _Attend.apply(" ".join(kinds), *(dropout or KEPT), *operands)  # type: ignore[no-untyped-call]
        return y_BMTd

    def obstacle(self, ops: Sequence[ScoreOp], here: Conditions) -> str | None:
        if not here.compiled:
            return substitute.SWITCHED_OFF
        if why_not := substitute.obstacle(here.kind):
            return why_not
        if here.device is not None and here.device.type != "cpu":
            return f"the fused kernel runs on the CPU, not on {here.device.type}"
        if missing := library.unavailable():
            return f"the fused kernel cannot be loaded ({missing})"
        if here.dtype is not None and here.dtype not in DTYPES:
            return f"the fused kernel knows float32 and bfloat16, not {str(here.dtype).removeprefix('torch.')}"
        return undeclared(ops, "stage")

    def priority(self, dtype: torch.dtype | None) -> int:
        return 15 if dtype == torch.bfloat16 else 30  # it computes bfloat16 as float32, where torch's own is faster


class _Attend(torch.autograd.Function):
    """The two operators joined for autograd.

    `torch.library.register_autograd` costs more: 0.6 ms a call under torch's profiler.
    """

    @staticmethod
    def forward(
        ctx: Any, stages: str, share: float, seeds_B: Tensor | None, heads_a_mask: int, *operands: Tensor
    ) -> Tensor:
        query, key, value, *weights = operands
        ctx.save_for_backward(seeds_B, *operands)
        ctx.settings = stages, share, heads_a_mask
        y_BMTd: Tensor = torch.ops.mta_lab.attend(query, key, value, weights, stages, share, seeds_B, heads_a_mask)
        return y_BMTd

    @staticmethod
    def backward(ctx: Any, gradient_BMTd: Tensor) -> tuple[Tensor | None, ...]:
        # Not torch's once_differentiable: its error hangs on one path back to the input, and where
        # there is another, like a residual connection, nobody meets it.
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise RuntimeError(substitute.NO_SECOND)
        seeds_B, query, key, value, *weights = ctx.saved_tensors
        stages, share, heads_a_mask = ctx.settings
        given = (query, key, value, weights, stages, share, seeds_B, heads_a_mask)
        found = torch.ops.mta_lab.attend_backward(gradient_BMTd, *given)
        return None, None, None, None, *found


def _like(x_BMTd: Tensor) -> Tensor:
    """Return an empty tensor of the same shape, laid out as the kernel writes it.

    In memory, a token's heads are side by side.
    """
    return torch.empty_like(x_BMTd.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)


def _fake(query: Tensor, key: Tensor, value: Tensor, weights: Sequence[Tensor], *_: Any) -> Tensor:
    return _like(query)


def _fake_backward(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, weights: Sequence[Tensor], *_: Any
) -> list[Tensor]:
    return [_like(query), _like(key), _like(value), *(torch.empty(w.shape, dtype=w.dtype) for w in weights)]


def _flops(
    query: Sequence[int],
    key: Sequence[int],
    value: Sequence[int],
    weights: Sequence[Sequence[int]],
    stages: str,
    *_: Any,
    **__: Any,
) -> int:
    """Return the multiplications and additions of the visible half of the map.

    The kernel computes nothing else.
    """
    batch, heads, tokens, width = query
    places = batch * heads * tokens * (tokens + 1) // 2
    kinds = [name for name in stages.split() if name != "softmax"]
    taps = [w[2] if kind == "mix" else w[1] * w[2] for w, kind in zip(weights, kinds, strict=True)]
    return 2 * places * (2 * width + sum(taps))


def _flops_backward(gradient: Sequence[int], query: Sequence[int], *rest: Any, **settings: Any) -> int:
    """Return the multiplications and additions of the gradients.

    They are three times the forward's, except that the product with the values counts once less.
    """
    batch, heads, tokens, width = query
    once = _flops(query, *rest)
    return 3 * once - 2 * batch * heads * tokens * (tokens + 1) // 2 * width


if library.unavailable() is None:
    torch.library.register_fake("mta_lab::attend", _fake)
    torch.library.register_fake("mta_lab::attend_backward", _fake_backward)
    register_flop_formula(torch.ops.mta_lab.attend)(_flops)
    register_flop_formula(torch.ops.mta_lab.attend_backward)(_flops_backward)
