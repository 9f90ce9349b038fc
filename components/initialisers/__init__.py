"""Initialisers: how a model's weights start, one file each."""

from components.initialisers.base import Drawn, InitialiserConfig, drawn_weights, names_residual, rate_of, size_of
from components.initialisers.depth_scaled import DepthScaled
from components.initialisers.fan_in import FAN_IN, FanIn
from components.initialisers.mup import Mup

__all__ = [
    "FAN_IN",
    "DepthScaled",
    "Drawn",
    "FanIn",
    "InitialiserConfig",
    "Mup",
    "drawn_weights",
    "names_residual",
    "rate_of",
    "size_of",
]
