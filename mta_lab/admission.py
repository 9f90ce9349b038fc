"""Holds components of a user's own to the first rules, in a moment, before anything is trained with them.

The conformance tests hold them to all rules; these are the ones without which a result means nothing.
Shapes: T tokens, D model width.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from components.attention import AttentionConfig, rotary_table
from components.initialise import initialise
from mta_lab.config import ModelConfig, RunConfig
from mta_lab.config.identity import modules_of
from mta_lab.errors import UserError, described, place

TOKENS = 12


def admit(configs: Iterable[RunConfig]) -> None:
    """Refuse, as a UserError, an attention that raises, has another shape than its input, or looks ahead.

    Looks at those with code of the user's in them, on a few random tokens and after some imagined training. A
    variant's `exempt` counts as in the conformance tests.
    """
    distinct = {(config.attention, config.model): config for config in configs}
    for (attention, model), config in distinct.items():
        own = [str(sys.modules[name].__file__) for name in modules_of(config) if name.partition(".")[0] != "components"]
        for layer, module in _kinds_of_layer(attention, model) if own else ():
            where = f"{', '.join(sorted(Path(file).name for file in own))}: {attention.name} on layer {layer}"
            try:
                fault = _fault(module, model, attention.exempt)
            except Exception as error:  # the user's code
                raise UserError(f"{where}: {described(error)} ({place(error)})") from error
            if fault:
                raise UserError(f"{where} {fault}")


def _kinds_of_layer(attention: AttentionConfig, model: ModelConfig) -> Iterator[tuple[int, nn.Module]]:
    """The first layer of each kind: an operation may stand on some layers only."""
    seen = set()
    for layer in range(1, model.layers + 1):
        sizes = {"width": model.width, "heads": model.heads, "layer": layer, "layers": model.layers}
        with torch.device("meta"):  # takes no memory
            kind = frozenset(type(part) for part in attention.build(**sizes).modules())
        if kind not in seen:
            seen.add(kind)
            yield layer, attention.build(**sizes)


def _fault(module: nn.Module, model: ModelConfig, exempt: Mapping[str, str]) -> str:
    """What is wrong with the outputs of `module`, or an empty string."""
    generator = torch.Generator().manual_seed(0)
    initialise(module.eval(), seed=0)
    x_1TD = torch.randn(1, TOKENS, model.width, generator=generator)
    rotary = rotary_table(TOKENS, model.width // model.heads, model.rope_theta)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
        y_1TD = module(x_1TD, rotary)
        given = list(y_1TD.shape) if isinstance(y_1TD, Tensor) else type(y_1TD).__name__
        if given != list(x_1TD.shape) and "shape" not in exempt:
            return f"returns {given} for tokens of shape {list(x_1TD.shape)}, allowed: the same shape"
        for t in range(1, 0 if "causal" in exempt else TOKENS):
            changed_1TD = x_1TD.clone()
            changed_1TD[:, t] *= -50.0
            same_T = module(changed_1TD, rotary).isclose(y_1TD, rtol=0.0, atol=0.0, equal_nan=True).all(-1).flatten()
            if not same_T[:t].all():
                position = same_T.tolist().index(False)
                return f"looks ahead: its output at position {position} depends on the token at position {t}"
    return ""
