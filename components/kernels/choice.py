"""Which implementation of the attention core runs, and why: said before it runs, never changed silently."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from components.hints import readable
from components.kernels import eager, fused, sdpa, streaming, substitute
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


@dataclass(frozen=True)
class Setting:
    """The conditions under which a layer's attention is computed; None where they are not known yet."""

    device: torch.device | None = None
    dtype: torch.dtype | None = None
    kind: type = Tensor
    """the class of the queries"""
    compiled: bool = True
    """whether compiled operators are on, see `substitute.Switched`"""


def choose(impl: Impl, ops: Sequence[ScoreOp], here: Setting) -> Choice:
    """Choose for queries of `here` under the setting `impl`.

    `auto` takes the first of fused, sdpa, streaming and eager that can run; in bfloat16, which the fused kernel
    computes as float32, sdpa goes first. Streaming goes before eager on any device: it never stores a map, and on a
    CPU it is the faster one besides, because it leaves out the keys that nobody sees: equal to eager up to 128 tokens,
    about twice as fast at 1024 (only at 256 and without convolutions it is slower, by a tenth to a third); but not
    into an exported program, whose blocks would be as many as for the example's tokens. An `impl` that cannot run here
    is a ComponentError.
    """
    if impl != "auto":
        refuse(impl, ops, here)
        return Choice(impl, f"set by impl: {impl}")
    order = ("sdpa", "fused") if here.dtype == torch.bfloat16 else ("fused", "sdpa")
    reasons: list[str] = []
    for name in (*order, "streaming"):
        why_not = obstacle(name, ops, here) or (substitute.exported() if name == "streaming" else None)
        if why_not is None:
            reasons += ["the fastest that can run"] if name in order else []
            return Choice(name, "; ".join(reasons))
        reasons += [why_not] if name != "sdpa" else []
    return Choice("eager", "; ".join(dict.fromkeys(reasons)))


def refuse(impl: Impl, ops: Sequence[ScoreOp], here: Setting) -> None:
    """Raise ComponentError if `impl` cannot run, as far as it is known where."""
    if impl not in get_args(Impl):
        raise ComponentError(f"impl: got {impl!r}, allowed: {readable(Impl)}")
    if why_not := obstacle(impl, ops, here):
        able = [name for name in IMPLEMENTATIONS if obstacle(name, ops, here) is None]
        raise ComponentError(f"impl: got '{impl}', but {why_not}; can run: auto, {', '.join(able)}")


def obstacle(impl: str, ops: Sequence[ScoreOp], here: Setting) -> str | None:
    """Return why `impl` cannot compute `ops` there, or None if it can, as far as that is known."""
    if impl in ("auto", "eager"):
        return None
    if impl == "sdpa" and ops:
        return f"{_names(ops)} acts on the map"
    if impl == "streaming":
        return _inexact(ops, "earlier_queries") or substitute.transformed()
    if not here.compiled:
        return "compiled operators are off (compiled: false)"
    if impl == "sdpa":
        return substitute.transformed()
    return substitute.obstacle(here.kind) or _no_kernel(ops, here)


def _no_kernel(ops: Sequence[ScoreOp], here: Setting) -> str | None:
    """Return why the fused kernel cannot compute `ops` there."""
    if here.device is not None and here.device.type != "cpu":
        return f"the fused kernel runs on the CPU, not on {here.device.type}"
    if missing := fused.unavailable():
        return f"the fused kernel cannot be loaded ({missing})"
    if here.dtype is not None and here.dtype not in FUSED_DTYPES:
        return f"the fused kernel knows float32 and bfloat16, not {str(here.dtype).removeprefix('torch.')}"
    return _inexact(ops, "stage")


def _inexact(ops: Sequence[ScoreOp], name: str) -> str | None:
    """Return which operations do not say `name`, or say it of other code than what a call of them runs."""
    silent = [op for op in ops if (op.stage() if name == "stage" else op.earlier_queries) is None]
    if silent:
        lacks = "has no fused form" if name == "stage" else f"does not declare its {name}"
        return f"{_names(silent)} {lacks}"
    inherits = [op for op in ops if name not in op.declared]
    if inherits:
        return f"{_names(inherits)} inherits its {name} and overrides what that stands for"
    for op in ops:
        if why := substitute.altered(op):
            return f"{_names([op])} has {why}"
    return None


def _names(ops: Sequence[ScoreOp]) -> str:
    return ", ".join(dict.fromkeys(type(op).__name__ for op in ops))
