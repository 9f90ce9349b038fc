"""Sizes that no model has are refused in one line, by every `build` and elsewhere."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from components import set_compiled
from components.attention import AttentionConfig, Differential, MultiToken, rotary_table
from components.initialise import initialise
from components.norms import LayerNorm, LayerNormBlock
from components.norms.base import lambda_init
from components.score_ops import KeyQuery, ScoreOp, ScoreOpConfig
from mta_lab.testing.subjects import VARIANTS
from tests.components.test_arguments import refused

SIZES = {"width": 24, "model_width": 96, "multiple": 8, "heads": 4, "layers": 12, "layer": 3}
NO_SIZES: tuple[Any, ...] = (0, -4, 2.0, True, None, "4", numpy.int64(4), torch.tensor(4))
BUILDS = [(variant, name) for variant in VARIANTS if hasattr(variant, "build")
          for name in inspect.signature(variant.build).parameters if name in SIZES]  # fmt: skip


@pytest.mark.parametrize(
    ("variant", "name"), BUILDS, ids=[f"{variant.family}-{variant.name}-{name}" for variant, name in BUILDS]
)
def test_a_size_that_no_model_has_is_refused_where_it_is_built(variant: Any, name: str) -> None:
    given = {one: {**SIZES, "scale": 1.0}[one] for one in inspect.signature(variant.build).parameters if one != "self"}
    variant().build(**given)
    for value in (*NO_SIZES, *((13,) if name == "layer" and "layers" in given else ())):
        says = refused(lambda value=value: variant().build(**{**given, name: value}))
        allowed = "1 to layers (12)" if name == "layer" and "layers" in given else "a whole number, 1 or more"
        assert says.startswith(f"{name}: got "), value
        assert says.endswith(f", allowed: {allowed}")


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: MultiToken(norm=LayerNormBlock()).pre_norm_scale(0), "layer: got 0, allowed: a whole number, 1 or"),
        (lambda: LayerNormBlock().pre_norm_scale(layer=-1), "layer: got -1, allowed: a whole number, 1 or more"),
        (lambda: KeyQuery().on_layer(0, 12), "layer: got 0, allowed: 1 to layers (12)"),
        (lambda: KeyQuery(layers="all").on_layer(13, layers=12), "layer: got 13, allowed: 1 to layers (12)"),
        (lambda: lambda_init(0), "layer: got 0, allowed: a whole number, 1 or more"),
        (lambda: LayerNorm().build(width=8, model_width=32, layer=0), "layer: got 0, allowed: a whole number"),
        (lambda: MultiToken().build(width=4, heads=8, layer=1, layers=4), "heads: got 8, allowed: a divisor of the"),
        (lambda: Differential().build(width=4, heads=8, layer=1, layers=4), "heads: got 8, allowed: a divisor of the"),
        (lambda: set_compiled(nn.Identity(), "false"), "on: got 'false', allowed: True or False"),  # type: ignore[arg-type]
        *(
            (lambda seed=seed: initialise(nn.Linear(2, 2), seed), f"seed: got {seed}, allowed: a whole number")
            for seed in (1.0, True, None)
        ),
        (lambda: rotary_table(6, 3, 1e4), "head_width: got 3, allowed: an even whole number, 2 or more"),
        (lambda: rotary_table(6, 0, 1e4), "head_width: got 0, allowed: an even whole number, 2 or more"),
        (lambda: rotary_table(-1, 8, 1e4), "tokens: got -1, allowed: a whole number, 0 or more"),
        (lambda: rotary_table(6.5, 8, 1e4), "tokens: got 6.5, allowed: a whole number, 0 or more"),  # type: ignore[arg-type]
        (lambda: rotary_table(6, 8, 0), "theta: got 0, allowed: a finite number above 0"),
        (lambda: rotary_table(6, 8, float("nan")), "theta: got nan, allowed: a finite number above 0"),
    ],
)
def test_sizes_are_checked_wherever_they_are_given(ask: Callable[[], object], says: str) -> None:
    assert refused(ask).startswith(says)


def test_builds_of_a_user_are_held_to_the_same_sizes() -> None:
    class Mine(AttentionConfig):
        """A user's attention, never registered."""

        def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
            return nn.Linear(width, width)

    class Above(Mine):
        """A subclass, which does something first."""

        def build(self, **sizes: Any) -> nn.Module:
            return super().build(**sizes)

    class Op(ScoreOpConfig):
        """A user's operation."""

        def build(self, *, heads: int) -> ScoreOp:
            raise AssertionError("it is not asked")

    for variant in (Mine, Above):
        sizes = {"width": 8, "heads": 2, "layer": 1, "layers": 1}
        assert isinstance(variant().build(**sizes), nn.Linear)
        for name, value in {"width": 8.0, "heads": 0, "layers": -1, "layer": 2}.items():
            wrong = {**sizes, name: value}
            says = refused(lambda of=variant, wrong=wrong: of().build(**wrong))
            assert says.startswith(f"{name}: got {value}, allowed: ")
    assert refused(lambda: Op().build(heads=-2)).startswith("heads: got -2")
    assert list(inspect.signature(Mine.build).parameters) == ["self", "width", "heads", "layer", "layers"]
