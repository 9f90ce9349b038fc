"""What the conformance tests run on: every registered variant, in the attention layer that shows it alone.

Component files named in the environment variable MTA_LAB_COMPONENTS (separated as in PATH) are registered first.
"""

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from components import FAMILIES, Component
from components.attention import AttentionConfig, MultiToken
from components.initialise import initialise
from components.kernel_init import KernelInitConfig
from components.norms import Gate, NoNorm, NormConfig
from components.score_ops import Joint, KeyQuery, ScoreOpConfig

if os.environ.get("MTA_LAB_COMPONENTS"):
    from mta_lab.plugins import load_components

    load_components([])

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
        """The attention module, initialised from `seed`; None leaves it as its constructor made it."""
        module = self.attention.build(width=WIDTH, heads=HEADS, layer=LAYER, layers=LAYERS)
        if seed is not None:
            initialise(module, seed)
        return module

    def build_random(self) -> nn.Module:
        """The module after some imagined training: no parameter rests at its initial value."""
        module = self.build()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
        return module


def subjects_of(config: Component, named: str = "") -> Iterator[Subject]:
    """Every place in an attention layer where the component can stand, alone; none for other families."""
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


VARIANTS = [family.get(name) for family in FAMILIES.values() for name in family.names()]
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
