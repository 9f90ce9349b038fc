"""The contract of an initialiser: how large each weight starts, and how fast it learns.

It says the sizes of weights alone; their random numbers are those of `components.initialise`, so
that two models that share a weight, and its size, start it equal under one seed.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from components.hints import fits, shown
from components.initialise import WEIGHTED
from components.registry import Component, ComponentError

RESIDUAL = "writes_residual"
"""attribute of a module: names of its linear layers whose output is added to the residual stream"""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A weight that is drawn: of a linear layer, an embedding or a convolution."""

    name: str
    """in the model, like blocks.0.attention.query.weight"""
    shape: torch.Size
    """outputs first, then what makes one of them; of an embedding tokens, then channels"""
    base: torch.Size
    """its shape in the base model, see `InitialiserConfig.base`"""
    layers: int
    """of the model"""
    embedding: bool = False
    residual: bool = False
    """whether its output is added to the residual stream"""

    @property
    def growth(self) -> float:
        """Return how many times the inputs of the base model's weight it has."""
        return self.shape[1:].numel() / self.base[1:].numel()


@dataclass(frozen=True, kw_only=True)
class InitialiserConfig(Component, family="initialisers"):
    """Base of all initialisers. Norms, biases and kernels start as ever, see `initialise`."""

    sets_rates: ClassVar[bool] = False
    """whether `rate` has factors other than 1: these are for optimizers that are `scale_free`"""
    reads_residual: ClassVar[bool] = False
    """whether `std` reads `residual` of a weight: then each attention and feed-forward must say
    which of its layers write to the residual stream"""

    @abstractmethod
    def std(self, weight: Drawn) -> float:
        """Return the standard deviation of a weight, whose values are cut at 3 of it; 0 for zeros.

        It follows from the weight alone, so that what two models share starts equal.
        """

    def rate(self, weight: Drawn) -> float:
        """Return the factor of the learning rate (default: 1).

        The share that a step's weight decay takes stays: its decay is divided by this.
        """
        return 1.0

    def base(self, *, width: int, heads: int) -> tuple[int, int]:
        """Return width and heads of the base model, for `Drawn.base` (default: those of the model).

        It has all else of a model that has this width and these heads.
        """
        return width, heads

    def query_scale(self, *, width: int, heads: int) -> float:
        """Return the factor of queries, beside that of logits, d^-0.5 (default: 1)."""
        return 1.0

    def output_scale(self, *, width: int) -> float:
        """Return the factor of the logits over the vocabulary (default: 1)."""
        return 1.0


def drawn_weights(model: nn.Module, base: nn.Module, layers: int) -> dict[str, Drawn]:
    """Return the weights of `model` that are drawn, by name; `base` is the base model.

    Raises ComponentError where `base` lacks one, or a module names what is no layer of it.
    """
    shapes = {name: parameter.shape for name, parameter in base.named_parameters()}
    residual = {id(model.get_submodule(name)) for name in _residual_layers(model)}
    found = {}
    for prefix, module in model.named_modules():
        weight = dict(module.named_parameters(recurse=False)).get("weight")
        if not isinstance(module, WEIGHTED) or weight is None:
            continue
        name = f"{prefix}.weight".removeprefix(".")
        if name not in shapes:
            raise ComponentError(f"{name}: is no weight of the base model, which has another width or other heads")
        found[name] = Drawn(
            name=name,
            shape=weight.shape,
            base=shapes[name],
            layers=layers,
            embedding=isinstance(module, nn.Embedding),
            residual=id(module) in residual,
        )
    return found


def size_of(initialiser: InitialiserConfig, weight: Drawn) -> float:
    """Return its `std` of a weight; raise ComponentError for what is no standard deviation."""
    std = initialiser.std(weight)
    if not fits(float, std) or not 0 <= std < math.inf:
        said = f"returned {shown(std)} as the std of {weight.name}"
        raise ComponentError(f"initialiser '{initialiser.name}' {said}, allowed: a finite number, 0 or more")
    return std


def rate_of(initialiser: InitialiserConfig, weight: Drawn) -> float:
    """Return its `rate` of a weight; raise ComponentError for what is no factor of a rate."""
    rate = initialiser.rate(weight)
    if not fits(float, rate) or not 0 < rate < math.inf or (rate != 1 and not initialiser.sets_rates):
        allowed = "a finite number above 0" if initialiser.sets_rates else "1, as it does not say sets_rates"
        said = f"returned {shown(rate)} as the factor of the learning rate of {weight.name}"
        raise ComponentError(f"initialiser '{initialiser.name}' {said}, allowed: {allowed}")
    return rate


def _residual_layers(model: nn.Module) -> list[str]:
    """Return the names of the layers that write to the residual stream."""
    found = []
    for prefix, module in model.named_modules():
        for name in getattr(module, RESIDUAL, ()):
            if not isinstance(getattr(module, name, None), WEIGHTED):
                raise ComponentError(f"{type(module).__name__}.{RESIDUAL}: got '{name}', allowed: names of its layers")
            found.append(f"{prefix}.{name}".removeprefix("."))
    return found


def names_residual(module: nn.Module) -> bool:
    """Return whether a module, or one inside it, says what it writes to the residual stream."""
    return any(getattr(part, RESIDUAL, ()) for part in module.modules())
