"""Which implementation of the attention core runs, and why: said before it runs, never changed silently."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from components.kernels import eager, fused, sdpa, streaming
from components.registry import ComponentError
from components.score_ops.base import ScoreOp

Impl = Literal["auto", "eager", "streaming", "fused"]
FUSED_DTYPES = (torch.float32, torch.bfloat16)
IMPLEMENTATIONS: dict[str, Callable[..., Tensor]] = {
    "eager": eager.attend,
    "streaming": streaming.attend,
    "fused": fused.attend,
    "sdpa": sdpa.attend,
}


@dataclass(frozen=True)
class Choice:
    """The implementation that computes a layer's attention."""

    name: str
    """one of IMPLEMENTATIONS, or 'own' for a variant that computes attention itself"""
    reason: str
    """a short phrase"""


SDPA = Choice("sdpa", "no operation on the map")
OWN = Choice("own", "the variant computes attention itself")


def choose(impl: Impl, ops: Sequence[ScoreOp], device: torch.device, dtype: torch.dtype) -> Choice:
    """Choose for queries of `device` and `dtype` under the setting `impl`; without operations it is torch's sdpa.

    `auto` takes fused where it can run, then streaming, then eager. Streaming goes before eager on any device: it
    never stores a map, and on a CPU it is the faster one besides, because it leaves out the keys that nobody sees:
    equal to eager up to 128 tokens, about twice as fast at 1024 (only at 256 and without convolutions it is slower, by
    a tenth to a third). An `impl` that cannot run here is a ComponentError.
    """
    if not ops:
        return SDPA
    if impl != "auto":
        refuse(impl, ops, device, dtype)
        return Choice(impl, f"set by impl: {impl}")
    reasons: list[str] = []
    for name in ("fused", "streaming"):
        why_not = obstacle(name, ops, device, dtype)
        if why_not is None:
            return Choice(name, "; ".join(reasons) or "every operation has a fused form")
        reasons.append(why_not)
    return Choice("eager", "; ".join(reasons))


def refuse(
    impl: Impl, ops: Sequence[ScoreOp], device: torch.device | None = None, dtype: torch.dtype | None = None
) -> None:
    """Raise ComponentError if `impl` cannot run; None for `device` and `dtype` where they are not known yet."""
    if ops and (why_not := obstacle(impl, ops, device, dtype)):
        able = [name for name in ("fused", "streaming", "eager") if obstacle(name, ops, device, dtype) is None]
        raise ComponentError(f"impl: got '{impl}', but {why_not}; can run: auto, {', '.join(able)}")


def obstacle(impl: str, ops: Sequence[ScoreOp], device: torch.device | None, dtype: torch.dtype | None) -> str | None:
    """Why `impl` cannot compute `ops` on that device in that dtype, or None if it can, as far as these are known."""
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
