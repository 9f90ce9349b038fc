"""Subjects of the conformance tests: every variant, in the attention layer that shows it alone.

The variants are all that ship, or those of the files that `pytest --mta-component` names.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from components import FAMILIES, Component
from components.attention import AttentionConfig, MultiToken
from components.initialise import initialise
from components.kernel_init import KernelInitConfig
from components.norms import Gate, NoNorm, NormConfig
from components.score_ops import Joint, KeyQuery, ScoreOpConfig
from mta_lab.errors import UserError
from mta_lab.plugins import load_components

BATCH, TOKENS = 2, 9
HEADS, WIDTH = 4, 24
LAYER, LAYERS = 3, 4  # the layer where 'every 4' stands


@dataclass(frozen=True)
class Subject:
    """A variant under test and the attention it is tested in."""

    variant: type[Component]
    place: str
    attention: AttentionConfig

    def __str__(self) -> str:
        return f"{self.variant.family}-{self.variant.name}{self.place}"

    def build(self, *, seed: int | None = 0) -> nn.Module:
        """Return the attention module, initialised from `seed`; None keeps the start values."""
        module = self.attention.build(width=WIDTH, heads=HEADS, layer=LAYER, layers=LAYERS)
        if seed is not None:
            initialise(module, seed)
        return module

    def build_random(self) -> nn.Module:
        """Return the module after some imagined training: no parameter is at its initial value."""
        module = self.build()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
        return module


def subjects_of(config: Component, named: str = "") -> Iterator[Subject]:
    """Yield every place in an attention layer where the component can stand alone.

    Other families have none.
    """
    variant = type(config)
    match config:
        case AttentionConfig():
            yield Subject(variant, "", config)
        case ScoreOpConfig():
            alone = dataclasses.replace(config, layers="all")
            for place in ("pre_softmax", "post_softmax"):
                lists: dict[str, Any] = {"pre_softmax": (), "post_softmax": (), place: (alone,)}
                yield Subject(variant, f"{named}-{place}", MultiToken(norm=NoNorm(), **lists))
        case NormConfig():
            yield Subject(variant, named, MultiToken(pre_softmax=(), post_softmax=(), norm=config))
        case KernelInitConfig():
            for op in (KeyQuery(layers="all", init=config), Joint(layers="all", init=config)):
                yield Subject(variant, f"-{op.name}", MultiToken(pre_softmax=(op,), post_softmax=(), norm=NoNorm()))


VARIANTS = [variant for family in FAMILIES.values() for variant in family.registered()]
SETTINGS: dict[str, Component] = {  # code of their own, which the defaults do not reach
    "-exact": KeyQuery(mask="exact"),
    "-left": KeyQuery(padding="left"),
    "-right": KeyQuery(padding="right"),
    "-exact-left": KeyQuery(mask="exact", padding="left"),
    "-exact-right": KeyQuery(mask="exact", padding="right"),
    "-pairs": Joint(group=2),
    "-channel": Gate(per="channel"),
}
SUBJECTS = [
    *(subject for variant in VARIANTS for subject in subjects_of(variant())),
    *(subject for named, config in SETTINGS.items() for subject in subjects_of(config, named)),
]
_own: list[type[Component]] = []


def register_own(files: Sequence[Path], source: str) -> None:
    """Register the components of `files`, to be tested in place of those that ship.

    Raises UserError, which names `source`, for a file that is missing, cannot be imported or
    registers nothing.
    """
    for file in files:
        before = _registered()
        load_components([file], source)
        found = [variant for variant in _registered() if variant not in before and variant not in _own]
        if not found:
            raise UserError(f"{source}: {file} registers no component; decorate its class with @register(FAMILY, NAME)")
        _own.extend(found)


def under_test() -> tuple[list[type[Component]], list[Subject]]:
    """Return the variants under test, and the subjects that they make."""
    if not _own:
        return VARIANTS, SUBJECTS
    return _own, [subject for variant in _own for subject in subjects_of(variant())]


def _registered() -> list[type[Component]]:
    return [variant for family in FAMILIES.values() for variant in family.registered()]
