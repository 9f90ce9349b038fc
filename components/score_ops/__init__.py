"""Operations on the attention map, before or after the softmax, one file each."""

from components.score_ops.base import ScoreOp, ScoreOpConfig, Stage, layers_of
from components.score_ops.head_mixing import HeadMixing
from components.score_ops.joint import Joint
from components.score_ops.key_query import KeyQuery

__all__ = ["HeadMixing", "Joint", "KeyQuery", "ScoreOp", "ScoreOpConfig", "Stage", "layers_of"]
