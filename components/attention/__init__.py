"""Attention variants, one file each."""

from components.attention.base import AttentionConfig, Core, set_dropout_seeds, with_present_seeds
from components.attention.by_layer import ByLayer
from components.attention.cache import LayerCache
from components.attention.core import CoreAttention, CoreConfig, MapCore, bias_scores
from components.attention.differential import Differential
from components.attention.multi_token import MultiToken
from components.attention.projections import Attention, norm_heads, scale_queries, set_model_width, share_keys
from components.attention.softmax import Softmax
from components.attention.talking_heads import TalkingHeads
from components.positions.rotary import rotary_table

PLAIN: AttentionConfig = Softmax()
"""attention without anything on its map: the default of a run, and what others are compared with"""
LISTED = ByLayer.name
"""the variant that a list of attentions with their layers is short for"""

__all__ = [
    "LISTED",
    "PLAIN",
    "Attention",
    "AttentionConfig",
    "ByLayer",
    "Core",
    "CoreAttention",
    "CoreConfig",
    "Differential",
    "LayerCache",
    "MapCore",
    "MultiToken",
    "Softmax",
    "TalkingHeads",
    "bias_scores",
    "norm_heads",
    "rotary_table",
    "scale_queries",
    "set_dropout_seeds",
    "set_model_width",
    "share_keys",
    "with_present_seeds",
]
