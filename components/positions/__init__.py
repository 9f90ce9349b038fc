"""Ways to tell a decoder the order of its tokens, one file each."""

from components.positions.alibi import Alibi
from components.positions.base import PositionConfig, Turns
from components.positions.learned import Learned
from components.positions.none import NoPositions
from components.positions.rotary import Rotary, rotary_table
from components.positions.rotary_linear import RotaryLinear
from components.positions.rotary_llama3 import RotaryLlama3
from components.positions.rotary_ntk import RotaryNtk
from components.positions.rotary_yarn import RotaryYarn
from components.positions.scaled import ScaledRotary

ROTARY = Rotary()
"""the default of a model, as in the paper"""

__all__ = [
    "ROTARY",
    "Alibi",
    "Learned",
    "NoPositions",
    "PositionConfig",
    "Rotary",
    "RotaryLinear",
    "RotaryLlama3",
    "RotaryNtk",
    "RotaryYarn",
    "ScaledRotary",
    "Turns",
    "rotary_table",
]
