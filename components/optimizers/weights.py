"""The weights that an optimizer trains, each with its kind, its learning rate and its decay."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from components.initialise import NORMS
from components.score_ops import ScoreOp

Kind = Literal["matrices", "embeddings", "norms", "kernels"]


@dataclass(frozen=True, kw_only=True)
class Weight:
    """One parameter of a model, and how it is trained."""

    name: str
    parameter: nn.Parameter
    kind: Kind
    rate: float
    """peak learning rate"""
    decay: float
    """weight decay"""


def weights_of(
    model: nn.Module,
    *,
    rate: float,
    decay: float,
    no_decay: Collection[str] = (),
    factors: Mapping[str, float] = {},
) -> list[Weight]:
    """Return the parameters of `model` in its order; the kinds in `no_decay` have a decay of 0.

    `factors` multiply the rates of parameters, by name, and divide their decays: a step takes the
    same share of a weight, its rate times its decay.
    """
    kernels = {id(one) for part in model.modules() if isinstance(part, ScoreOp) for one in part.parameters()}
    found = []
    for name, parameter in model.named_parameters():
        owner = model.get_submodule(name.rpartition(".")[0])
        kind = "kernels" if id(parameter) in kernels else _kind(owner, parameter)
        own, factor = 0.0 if kind in no_decay else decay, factors.get(name, 1.0)
        found.append(Weight(name=name, parameter=parameter, kind=kind, rate=rate * factor, decay=own / factor))
    return found


def _kind(owner: nn.Module, parameter: nn.Parameter) -> Kind:
    """Return the kind of a parameter that is in no score operation."""
    if isinstance(owner, nn.Embedding):
        return "embeddings"
    if isinstance(owner, NORMS) or parameter.dim() < 2 or 1 in parameter.shape:
        return "norms"  # and biases, gates: all that is a vector
    return "matrices" if parameter.dim() == 2 else "kernels"


def grouped(weights: Sequence[Weight]) -> list[dict[str, Any]]:
    """Return torch's parameter groups of the weights: one for each learning rate and decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for weight in weights:
        groups.setdefault((weight.rate, weight.decay), []).append(weight.parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]
