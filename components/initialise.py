"""All initialisation in one place: every parameter is drawn from a stream of its own.

The stream is seeded by (seed, the parameter's full name), so that two models that share a parameter
start it equal under the same seed, and adding a kernel to one of them moves no other weight.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from components.hints import fits, shown
from components.registry import ComponentError

Draw = Callable[[str], torch.Generator | None]
"""the random stream of a parameter, by its name inside its module; None is torch's global stream"""
Std = Callable[[str, torch.Size], float]
"""the standard deviation of a weight that is drawn, by its name in the model and its shape"""

WEIGHTED = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.RMSNorm, nn.LayerNorm, nn.GroupNorm, _NormBase)  # the last: batch and instance norms


@runtime_checkable
class Initialises(Protocol):
    """A module that says how its parameters start, where the rules of `initialise` do not."""

    def initialise(self, draw: Draw) -> None:
        """Fill the module's own parameters, each from `draw(its name)`.

        Those of its children are already filled.
        """


def default_stream(name: str) -> None:
    """Draw from torch's global stream, as torch's own layers do: a `Draw` for constructors."""


def fan_in_std(shape: torch.Size) -> float:
    """Return (inputs of an output)^-0.5, of a weight whose first dimension is its outputs."""
    return float(shape[1:].numel() ** -0.5)


def initialise(model: nn.Module, seed: int, std: Std = lambda _, shape: fan_in_std(shape)) -> None:
    """Draw every parameter of `model` again, in place.

    Weights of linear layers, embeddings and convolutions: normal with `std`, by default (inputs of
    an output)^-0.5, cut at 3 std; biases zero; norm weights one (the rule of Lingua, which the
    official code trains with). A module with an `initialise` method fills its own parameters, after
    its children: what it says of theirs stays. A parameter that nothing fills is a ComponentError.
    """
    if not fits(int, seed):  # streams are named by its text, and 1.0 or True would be others than 1
        raise ComponentError(f"seed: got {shown(seed)}, allowed: a whole number")
    with torch.no_grad():
        for parameter in model.parameters():
            if _can_be_nan(parameter):
                parameter.fill_(torch.nan)  # so that what would stay as the process drew it shows
        for prefix, module in reversed([*model.named_modules()]):

            def draw(name: str, prefix: str = prefix) -> torch.Generator:
                return parameter_stream(seed, f"{prefix}.{name}")

            if isinstance(module, Initialises):
                module.initialise(draw)
            else:
                _start_by_rule(module, draw, partial(std, f"{prefix}.weight".removeprefix(".")))
    _refuse_unfilled(model)


def _start_by_rule(module: nn.Module, draw: Draw, std_of: Callable[[torch.Size], float]) -> None:
    """Fill what the module itself holds, where it is of a kind that has a rule."""
    own = dict(module.named_parameters(recurse=False))  # under a parametrization, `module.weight` is only computed
    weight, bias = own.get("weight"), own.get("bias")
    if isinstance(module, NORMS):
        if weight is not None:
            nn.init.ones_(weight)
        if isinstance(module, _NormBase):
            module.reset_running_stats()
    elif isinstance(module, WEIGHTED):
        if weight is not None:
            std = std_of(weight.shape)
            if std:
                nn.init.trunc_normal_(weight, 0.0, std, -3 * std, 3 * std, generator=draw("weight"))
            else:
                nn.init.zeros_(weight)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                weight[module.padding_idx] = 0.0
    else:
        return
    if bias is not None:
        nn.init.zeros_(bias)


def _refuse_unfilled(model: nn.Module) -> None:
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(prefix, recurse=False):
            if _can_be_nan(parameter) and parameter.isnan().any():
                kind = type(module).__name__
                raise ComponentError(
                    f"{name}: no rule says how this parameter of {kind} starts; give {kind}, or a module around it, a "
                    "method initialise(draw) that fills it, with random values from generator=draw(its name)"
                )


def _can_be_nan(parameter: Tensor) -> bool:
    return (parameter.is_floating_point() or parameter.is_complex()) and not parameter.is_meta


def parameter_stream(seed: int, name: str) -> torch.Generator:
    """Return a generator for one named parameter under `seed`."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
