"""No setting is ignored: each one changes a run's identity, and what it computes."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch

from components.attention import AttentionConfig, MultiToken, Softmax
from components.evaluations import BabiLong, TextEvaluation
from components.feed_forward import FeedForwardConfig
from components.initialisers import InitialiserConfig
from components.optimizers import OptimizerConfig
from components.positions import PositionConfig, RotaryYarn
from components.registry import FAMILIES, Component, ComponentError
from components.residual_norms import ResidualNormConfig
from components.schedules import ScheduleConfig
from components.score_ops import KeyQuery
from components.tasks import GroupedTask, Language, Practice, SyntheticTask
from mta_lab.config import DataConfig, ModelConfig, RunConfig, TrainingConfig, fingerprint
from mta_lab.config.sections import FixedSeeds
from mta_lab.config.training import NO_PART
from mta_lab.data.corpus import tokens_directory
from mta_lab.errors import UserError
from mta_lab.model import build_model, implementations
from tests.config.helpers import config

BASE = config(
    *("model.width=16", "model.heads=4", "model.context=24", "model.feed_forward_multiple=16"),
    *("training.warmup_steps=20", "training.steps=100"),
)
LIKELY: tuple[Any, ...] = (
    *("constant", "bf16", "test", "eager", "exact", "left", "channel", "all", "first", "stdlib", "another", "tests"),
    "off",
    *("blocks", "zero", "layer", "characters"),
    *("original", "cosine", ("norms",)),
    *(("rest", "every 4"), (Softmax(), MultiToken())),
    *(True, False, 2, 3, 8, 30, 300, 0.25, 0.5, 100.0, (2, 3), (80, 90), {"a": 1.0}, (BabiLong(),)),
)
"""values of which at least one is another valid one of any
field, besides the registered components"""
SHIPPED = [
    FAMILIES[family].get(name)
    for family in FAMILIES
    for name in FAMILIES[family].names()
    if FAMILIES[family].get(name).__module__.startswith("components.")
    and not issubclass(FAMILIES[family].get(name), TextEvaluation)  # asked of a finished run, and no part of it
]
CLASSES: list[type] = [RunConfig, ModelConfig, TrainingConfig, DataConfig, FixedSeeds, *SHIPPED]
SECTIONS = {"model", "training", "data", "task", "init", "fixed_seeds"}
"""their fields are settings, and theirs is a class of its own here; `init` has tests of its own"""
FIELDS = [(owner, field) for owner in CLASSES for field in fields(owner) if field.name not in SECTIONS]
STARTS: dict[type, Component] = {RotaryYarn: RotaryYarn(theta=3.0, trained_context=30)}
"""in place of the default, where its settings move nothing in a model so small"""
PLACES: dict[type[Component], tuple[str, str]] = {
    PositionConfig: ("model", "positions"),
    FeedForwardConfig: ("model", "feed_forward"),
    ResidualNormConfig: ("model", "residual_norms"),
    InitialiserConfig: ("model", "initialiser"),
    OptimizerConfig: ("training", "optimizer"),
    ScheduleConfig: ("training", "schedule"),
}
"""where a component of these families stands in a run"""
LABELS = {(RunConfig, "scale"), (DataConfig, "tokens")}
"""names and places, which decide nothing by themselves"""
TEXT = {"corpus", "path", "tokenizer"}
"""what is read: the hash of the text counts in their place"""


def run_with(value: Any) -> RunConfig:
    """BASE with a section or a component where it belongs."""
    if isinstance(value, RunConfig):
        return value
    for section in ("model", "training", "data", "fixed_seeds"):
        if isinstance(value, type(getattr(BASE, section))):
            return replace(BASE, **{section: value})
    if isinstance(value, SyntheticTask):
        model = replace(BASE.model, vocabulary=value.vocabulary, context=400)
        return replace(BASE, task=value, model=model)
    if isinstance(value, Language):
        return replace(BASE, task=value)
    if isinstance(value, AttentionConfig):
        return replace(BASE, attention=value)
    for base, (section, name) in PLACES.items():
        if isinstance(value, base):
            return replace(BASE, **{section: replace(getattr(BASE, section), **{name: value})})
    family = type(value).family
    if family == "norms":
        return replace(BASE, attention=MultiToken(norm=value))
    op = KeyQuery(layers="all", init=value) if family == "kernel_init" else value
    return replace(BASE, attention=MultiToken(pre_softmax=(op,), post_softmax=()))


def others(owner: type, field: Field[Any]) -> Iterator[tuple[RunConfig, RunConfig]]:
    """A run with the owner as it is by default, and one that differs in the field alone."""
    start = next(
        (part for part in (BASE, BASE.model, BASE.training, BASE.data, BASE.fixed_seeds) if type(part) is owner), None
    )
    start = start or STARTS.get(owner) or owner()
    here = getattr(start, field.name)
    hint = get_type_hints(owner)[field.name]
    choices = get_args(hint) if get_origin(hint) is Literal else None
    components: list[Any] = [variant() for variant in SHIPPED]
    for value in (*LIKELY, *components, *((one,) for one in components)):
        if value == here or isinstance(here, bool) != isinstance(value, bool) or (choices and value not in choices):
            continue
        with suppress(ValueError, TypeError, AttributeError, ComponentError, UserError):
            other = run_with(replace(start, **{field.name: value}))
            build_model(other, seed=0)
            yield run_with(start), other


def computed(run: RunConfig) -> list[Any]:
    """Return a run's parts: start weights, outputs under other ones, sequences of its task."""
    model = build_model(run, seed=0).train()
    start = {name: value.tolist() for name, value in model.named_parameters()}
    for number, (_, weight) in enumerate(sorted(model.named_parameters())):
        torch.nn.init.normal_(weight, std=0.5, generator=torch.Generator().manual_seed(number))
    torch.manual_seed(0)
    tokens = torch.randint(20, (2, min(24, run.model.context)), generator=torch.Generator().manual_seed(0))
    logits = model(tokens).detach()
    made: list[Any] = [start, logits.tolist(), sorted(implementations(model)), run.model.context]
    if isinstance(run.task, SyntheticTask):
        made += [run.task.held_out, run.task.sequences(2, torch.Generator().manual_seed(0))[0].tolist()]
        made += [run.task.sequences(2, torch.Generator().manual_seed(0))[1].tolist()]
    if isinstance(run.task, GroupedTask):
        made += [run.task.groups, run.task.longest]
    return made


@pytest.mark.parametrize(("owner", "field"), FIELDS, ids=[f"{owner.__name__}.{field.name}" for owner, field in FIELDS])
def test_another_value_makes_another_run(owner: type, field: Field[Any], tmp_path: Path) -> None:
    pair = next(others(owner, field), None)
    assert pair, f"no other value of {owner.__name__}.{field.name} is valid: add one to LIKELY"
    base, other = pair
    assert base != other
    if NO_PART in field.metadata or (owner, field.name) in LABELS:
        assert fingerprint(base, "") == fingerprint(other, "")
    elif owner is DataConfig and field.name in TEXT:
        (tmp_path / "mine.txt").touch()
        there = {"path": str(tmp_path), "corpus": "stdlib"}  # only what is there has a name on the disk
        data = replace(other.data, **{field.name: there.get(field.name, getattr(other.data, field.name))})
        assert tokens_directory(base.data, 300, tmp_path) != tokens_directory(data, 300, tmp_path)
    else:
        assert fingerprint(base, "") != fingerprint(other, "")


# Practice mixes batches of text; equations of optimizers and schedules stand in tests/components.
ARCHITECTURE = [
    (owner, field)
    for owner, field in FIELDS
    if owner is ModelConfig
    or (issubclass(owner, Component) and not issubclass(owner, (Practice, OptimizerConfig, ScheduleConfig)))
]


@pytest.mark.parametrize(
    ("owner", "field"), ARCHITECTURE, ids=[f"{owner.__name__}.{field.name}" for owner, field in ARCHITECTURE]
)
def test_another_value_makes_another_model_or_other_sequences(owner: type, field: Field[Any]) -> None:
    base, other = next(others(owner, field))
    assert computed(base) == computed(base)
    assert computed(base) != computed(other)
