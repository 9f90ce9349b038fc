"""The rule of Lingua, which the paper's code trains with: (inputs of an output)^-0.5."""

from components.initialise import fan_in_std
from components.initialisers.base import Drawn, InitialiserConfig
from components.registry import register


@register("initialisers", "fan_in")
class FanIn(InitialiserConfig):
    """Every weight at (inputs of an output)^-0.5, the embedding at (width)^-0.5."""

    def std(self, weight: Drawn) -> float:
        return fan_in_std(weight.shape)


FAN_IN = FanIn()
"""the default of a model, as in the paper's code"""
