"""Norms around the sublayers of a decoder's blocks, one file each."""

from components.residual_norms.base import KindConfig, ResidualNormConfig, Sublayer, refuse_scale
from components.residual_norms.layer_norm import LayerNorm
from components.residual_norms.post import Post
from components.residual_norms.pre import PRE, Pre
from components.residual_norms.sandwich import Sandwich

__all__ = [
    "PRE",
    "KindConfig",
    "LayerNorm",
    "Post",
    "Pre",
    "ResidualNormConfig",
    "Sandwich",
    "Sublayer",
    "refuse_scale",
]
