"""Operations on the attention map, before or after the softmax, one file each."""

from components.score_ops.base import ScoreOp, ScoreOpConfig, Stage, layers_of
from components.score_ops.head_mixing import HeadMixing
from components.score_ops.joint import Joint
from components.score_ops.key_query import KeyQuery

__all__ = ["HeadMixing", "Joint", "KeyQuery", "ScoreOp", "ScoreOpConfig", "Stage", "every_stage", "layers_of"]


def every_stage(heads: int) -> tuple[list[ScoreOp], list[ScoreOp]]:
    """Return small operations before and after the softmax that cover every kind of stage.

    They are the same ever after: the bits of what computes them are recorded with each run, and
    compared.
    """
    pre: list[ScoreOp] = [KeyQuery(kernel=(3, 5)).build(heads=heads), HeadMixing(group=2).build(heads=heads)]
    post: list[ScoreOp] = [HeadMixing().build(heads=heads), KeyQuery(kernel=(2, 3), mask="exact").build(heads=heads)]
    return pre, post
