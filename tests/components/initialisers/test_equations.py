"""Sizes and rates of initialisers are those of their papers, written here by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from components import ComponentError
from components.feed_forward import Mixture
from components.initialisers import DepthScaled, Drawn, FanIn, InitialiserConfig, Mup, drawn_weights, rate_of, size_of
from mta_lab.testing.initialiser_conformance import LAYERS, decoder, weights

WIDE = Drawn(name="w", shape=torch.Size([96, 80]), base=torch.Size([24, 20]), layers=3)


def test_fan_in_is_one_over_the_root_of_the_inputs() -> None:
    sizes = {name: FanIn().std(weight) for name, weight in weights(FanIn(), 48, 4).items()}
    assert sizes["embedding.weight"] == 48**-0.5
    assert sizes["blocks.3.attention.output.weight"] == sizes["blocks.0.feed_forward.up.weight"] == 48**-0.5
    assert sizes["blocks.1.feed_forward.down.weight"] == 128**-0.5


@pytest.mark.parametrize(("initialiser", "usual"), [(DepthScaled(), 48**-0.5), (DepthScaled(normal=0.02), 0.02)])
def test_residual_projections_are_scaled_by_the_root_of_twice_the_layers(
    initialiser: InitialiserConfig, usual: float
) -> None:
    """Each of the N layers adds two outputs to the stream: attention's, and the feed-forward's."""
    layers = {name: weight for name, weight in weights(initialiser, 48, 4).items() if ".norm." not in name}
    assert len(layers) == 1 + 7 * LAYERS
    for name, weight in layers.items():
        residual = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
        start = 128**-0.5 if name.endswith("down.weight") and usual != 0.02 else usual
        assert initialiser.std(weight) == pytest.approx(start / math.sqrt(2 * LAYERS) if residual else start, rel=1e-12)


def test_every_expert_of_a_mixture_writes_to_the_residual_stream() -> None:
    with torch.device("meta"):
        model = Mixture(experts=3).build(width=24, multiple=8, layer=1, layers=2)
    residual = {name for name, weight in drawn_weights(model, model, 2).items() if weight.residual}
    assert residual == {f"experts.{expert}.down.weight" for expert in range(3)}


def test_mup_is_table_8_of_tensor_programs_v() -> None:
    """Four times the base's width."""
    mup = Mup(base_width=24)
    for name, weight in weights(mup, 96, 4).items():
        if name == "embedding.weight":  # input and output weights: variance and rate of any width
            assert (mup.std(weight), mup.rate(weight)) == (24**-0.5, 1.0)
            continue
        inputs, base = (256, 64) if name.endswith("down.weight") else (96, 24)  # hidden weights
        assert mup.std(weight) == pytest.approx(math.sqrt(1 / inputs), rel=1e-12)
        assert mup.rate(weight) == pytest.approx(base / inputs, rel=1e-12)
    assert mup.output_scale(width=96) == 1 / 4  # the multiplier of output weights


def test_a_layer_to_a_fixed_number_of_outputs_is_an_output_of_table_3() -> None:
    """A router has no multiplier behind it: its variance falls with the square of the growth."""
    mup, mixture = Mup(base_width=24), Mixture()
    with torch.device("meta"):
        wide, base = (mixture.build(width=width, multiple=8, layer=1, layers=2) for width in (96, 24))
    router = drawn_weights(wide, base, 2)["router.weight"]
    assert mup.std(router) == pytest.approx(math.sqrt(1 / 24) / 4, rel=1e-12)
    assert mup.rate(router) == 1 / 4


def test_logits_are_divided_by_the_width_of_heads_that_grow() -> None:
    """Definition 4.1: q k / d, equal to q k / d^0.5 at the base; heads that stay keep d^0.5."""
    assert Mup(base_width=24).query_scale(width=96, heads=4) / math.sqrt(24) == pytest.approx(math.sqrt(6) / 24)
    assert Mup(base_width=24, base_heads=1).query_scale(width=96, heads=4) == 1.0
    assert Mup(base_width=24).base(width=96, heads=4) == (24, 4)
    assert Mup(base_width=24, base_heads=2).base(width=96, heads=4) == (24, 2)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Mup(base_width=0), "base_width: got 0, allowed: 1 or more"),
        (lambda: Mup(base_heads=-1), "base_heads: got -1, allowed: 1 or more"),
        (lambda: DepthScaled(normal=0.0), "normal: got 0.0, allowed: more than 0, below 100"),
    ],
)
def test_a_setting_that_no_initialiser_has_is_refused(build: Any, said: str) -> None:
    with pytest.raises(ComponentError, match=said):
        build()


class Wrong(FanIn):
    """An initialiser of these tests, never registered."""

    name = "wrong"

    def std(self, weight: Drawn) -> Any:
        return {1: -1.0, 2: math.nan, 3: "wide"}[weight.layers]

    def rate(self, weight: Drawn) -> float:
        return 0.5


@pytest.mark.parametrize(("layers", "given"), [(1, "-1.0"), (2, "nan"), (3, "'wide'")])
def test_a_size_that_no_weight_has_is_refused_by_its_name(layers: int, given: str) -> None:
    with pytest.raises(
        ComponentError, match=f"initialiser 'wrong' returned {given} as the std of w, allowed: a finite"
    ):
        size_of(Wrong(), replace(WIDE, layers=layers))


def test_a_rate_that_is_not_announced_is_refused() -> None:
    with pytest.raises(ComponentError, match=r"returned 0\.5 as the factor of the learning rate of w, allowed: 1,"):
        rate_of(Wrong(), WIDE)


def test_a_layer_that_is_none_cannot_write_to_the_residual_stream() -> None:
    model = decoder(24, 2)
    model.get_submodule("blocks.0.feed_forward").writes_residual = ("dwn",)  # type: ignore[assignment]
    with pytest.raises(ComponentError, match=r"SwiGLU.writes_residual: got 'dwn', allowed: names of its layers"):
        drawn_weights(model, model, LAYERS)
