"""The attention core as one compiled kernel for the CPU: not there yet."""

from collections.abc import Sequence

from torch import Tensor

from components.score_ops.base import ScoreOp


def unavailable() -> str | None:
    """Why the kernel cannot run on this machine, in a few words; None where it can."""
    return "not built"


def attend(
    query_BMTd: Tensor,
    key_BMTd: Tensor,
    value_BMTd: Tensor,
    pre: Sequence[ScoreOp],
    post: Sequence[ScoreOp],
    *,
    dropout: float,
) -> Tensor:
    """Causal attention as `eager.attend`, each operation as its `stage()` says."""
    raise NotImplementedError(unavailable())
