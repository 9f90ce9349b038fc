"""The list of implementations, and the choice among them.

The choice is said with its reason, and never changes silently.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch

from components.hints import readable
from components.kernels import eager, sdpa, streaming
from components.kernels.base import Conditions, Implementation
from components.kernels.cpu import fused
from components.registry import ComponentError
from components.score_ops.base import ScoreOp

IMPLEMENTATIONS: dict[str, Implementation] = {
    one.name: one for one in (sdpa.Sdpa(), fused.Fused(), streaming.Streaming(), eager.Eager())
}
"""by the word of the setting `impl`"""
_BY_PRIORITY = {
    dtype: sorted(IMPLEMENTATIONS.values(), key=lambda one: -one.priority(dtype))
    for dtype in (None, torch.float16, torch.bfloat16, torch.float32, torch.float64)
}

if TYPE_CHECKING:
    Impl = str
else:
    Impl = Literal[("auto", *IMPLEMENTATIONS)]


class Choice(NamedTuple):
    """The implementation that computes a layer's attention."""

    name: str
    """one of IMPLEMENTATIONS, or 'own' for a variant that computes attention itself"""
    reason: str
    """a short phrase"""


OWN = Choice("own", "the variant computes attention itself")


def choose(impl: Impl, ops: Sequence[ScoreOp], here: Conditions) -> Choice:
    """Return what computes `ops` here under the setting `impl`, and why.

    `auto` takes the implementation of the highest priority among those without an obstacle or a
    drawback; its reason names those of the others before it. An `impl` that is unknown or cannot
    run here is a ComponentError.
    """
    if impl != "auto":
        refuse(impl, ops, here)
        return Choice(impl, f"set by impl: {impl}")
    reasons: list[str] = []
    for one in _BY_PRIORITY.get(here.dtype, _BY_PRIORITY[None]):
        if ops and not one.takes_operations:
            continue
        why_not = one.obstacle(ops, here) or one.drawback()
        if why_not is None:
            reasons += ["the fastest that can run"] if one.compiled else []
            return Choice(one.name, "; ".join(dict.fromkeys(reasons)))
        reasons.append(why_not)
    raise ComponentError(f"impl: got 'auto', but nothing can run: {'; '.join(dict.fromkeys(reasons))}")


def refuse(impl: Impl, ops: Sequence[ScoreOp], here: Conditions) -> None:
    """Raise ComponentError if `impl` is unknown or cannot compute `ops`.

    What the conditions leave open is no reason.
    """
    if impl == "auto":
        return
    if impl not in IMPLEMENTATIONS:
        raise ComponentError(f"impl: got {impl!r}, allowed: {readable(Impl)}")
    if why_not := IMPLEMENTATIONS[impl].obstacle(ops, here):
        able = [one.name for one in IMPLEMENTATIONS.values() if one.obstacle(ops, here) is None]
        raise ComponentError(f"impl: got '{impl}', but {why_not}; can run: auto, {', '.join(able)}")
