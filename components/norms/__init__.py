"""Normalisations of a head's output, one file each."""

from components.norms.base import NormConfig
from components.norms.depth import Depth
from components.norms.gate import Gate
from components.norms.layer_norm import LayerNorm
from components.norms.layer_norm_block import LayerNormBlock
from components.norms.none import NoNorm
from components.norms.plain import Plain

__all__ = ["Depth", "Gate", "LayerNorm", "LayerNormBlock", "NoNorm", "NormConfig", "Plain"]
