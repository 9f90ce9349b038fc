"""All initialisation in one place: every parameter is drawn from a stream of its own.

The stream is seeded by (seed, the parameter's full name), so that two models that share a parameter start it equal
under the same seed, and adding a kernel to one of them moves no other weight.
"""

import hashlib
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import nn

Draw = Callable[[str], torch.Generator | None]
"""the random stream of a parameter, by its name inside its module; None is torch's global stream"""


@runtime_checkable
class Initialises(Protocol):
    """A module that has parameters besides its linear layers and norms, and says how they start."""

    def initialise(self, draw: Draw) -> None:
        """Fill the module's own parameters, each from `draw(its name)`."""


def default_stream(name: str) -> None:
    """A `Draw` for use in a module's constructor: torch's global stream, as torch's own layers do."""


def initialise(model: nn.Module, seed: int) -> None:
    """Draw every parameter of `model` again, in place.

    Linear and embedding weights: normal with std (input width)^-0.5, cut at 3 std; biases zero; norm weights one
    (the rule of Lingua, which the official code trains with). Modules with an `initialise` method fill their own
    parameters.
    """
    for prefix, module in model.named_modules():

        def draw(name: str, prefix: str = prefix) -> torch.Generator:
            return parameter_stream(seed, f"{prefix}.{name}")

        if isinstance(module, Initialises):
            module.initialise(draw)
        elif isinstance(module, nn.Linear | nn.Embedding):
            std = module.weight.shape[-1] ** -0.5
            nn.init.trunc_normal_(module.weight, 0.0, std, -3 * std, 3 * std, generator=draw("weight"))
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.RMSNorm):
            module.reset_parameters()


def parameter_stream(seed: int, name: str) -> torch.Generator:
    """A generator for one named parameter under `seed`."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
