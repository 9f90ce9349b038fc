"""Which implementation of the attention core runs, and why: said before it runs, never changed silently."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from components.kernels import eager, fused, sdpa, streaming
from components.registry import ComponentError
from components.score_ops.base import ScoreOp

Impl = Literal["auto", "sdpa", "fused", "streaming", "eager"]
FUSED_DTYPES = (torch.float32, torch.bfloat16)
IMPLEMENTATIONS: dict[str, Callable[..., Tensor]] = {
    "sdpa": sdpa.attend,
    "fused": fused.attend,
    "streaming": streaming.attend,
    "eager": eager.attend,
}


@dataclass(frozen=True)
class Choice:
    """The implementation that computes a layer's attention."""

    name: str
    """one of IMPLEMENTATIONS, or 'own' for a variant that computes attention itself"""
    reason: str
    """a short phrase"""


OWN = Choice("own", "the variant computes attention itself")


def choose(impl: Impl, ops: Sequence[ScoreOp], device: torch.device, dtype: torch.dtype) -> Choice:
    """Choose for queries of `device` and `dtype` under the setting `impl`.

    `auto` takes the first of fused, sdpa, streaming and eager that can run; in bfloat16, which the fused kernel
    computes as float32, sdpa goes first. Streaming goes before eager on any device: it never stores a map, and on a
    CPU it is the faster one besides, because it leaves out the keys that nobody sees: equal to eager up to 128 tokens,
    about twice as fast at 1024 (only at 256 and without convolutions it is slower, by a tenth to a third). An `impl`
    that cannot run here is a ComponentError.
    """
    if impl != "auto":
        refuse(impl, ops, device, dtype)
        return Choice(impl, f"set by impl: {impl}")
    order = ("sdpa", "fused") if dtype == torch.bfloat16 else ("fused", "sdpa")
    reasons: list[str] = []
    for name in (*order, "streaming"):
        why_not = obstacle(name, ops, device, dtype)
        if why_not is None:
            reasons += ["the fastest that can run"] if name in order else []
            return Choice(name, "; ".join(reasons))
        reasons += [why_not] if name != "sdpa" else []
    return Choice("eager", "; ".join(reasons))


def refuse(
    impl: Impl, ops: Sequence[ScoreOp], device: torch.device | None = None, dtype: torch.dtype | None = None
) -> None:
    """Raise ComponentError if `impl` cannot run; None for `device` and `dtype` where they are not known yet."""
    if why_not := obstacle(impl, ops, device, dtype):
        able = [name for name in IMPLEMENTATIONS if obstacle(name, ops, device, dtype) is None]
        raise ComponentError(f"impl: got '{impl}', but {why_not}; can run: auto, {', '.join(able)}")


def obstacle(impl: str, ops: Sequence[ScoreOp], device: torch.device | None, dtype: torch.dtype | None) -> str | None:
    """Why `impl` cannot compute `ops` on that device in that dtype, or None if it can, as far as these are known."""
    if impl == "sdpa":
        return f"{_names(ops)} acts on the map" if ops else None
    if impl == "streaming":
        silent = [op for op in ops if op.earlier_queries is None]
        return f"{_names(silent)} does not declare its earlier_queries" if silent else None
    if impl != "fused":
        return None
    if device is not None and device.type != "cpu":
        return f"the fused kernel runs on the CPU, not on {device.type}"
    if missing := fused.unavailable():
        return f"the fused kernel cannot be loaded ({missing})"
    if dtype is not None and dtype not in FUSED_DTYPES:
        return f"the fused kernel knows float32 and bfloat16, not {str(dtype).removeprefix('torch.')}"
    whole = [op for op in ops if op.stage() is None]
    return f"{_names(whole)} has no fused form" if whole else None


def _names(ops: Sequence[ScoreOp]) -> str:
    return ", ".join(dict.fromkeys(type(op).__name__ for op in ops))
