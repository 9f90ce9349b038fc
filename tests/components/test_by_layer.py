"""Attention by layer: which layer has which, and what all layers share."""

from dataclasses import replace

import pytest
import torch

from components.attention import AttentionConfig, ByLayer, Differential, MultiToken, Softmax, TalkingHeads
from components.registry import ComponentError
from components.score_ops.base import LayerRule
from mta_lab.model import build_model, count_parameters, implementations
from tests.config.helpers import config

A, B, C = MultiToken(), Softmax(), Differential()
LAYERS = 8
STANDS: dict[tuple[LayerRule, ...], str] = {
    ("every 4", "rest"): "bbabbbab",
    ("rest", "every 4"): "aabaaaba",
    ("spread 2", "rest"): "bbabbbab",
    ((1, 8), "rest"): "abbbbbba",
    ((8, 1), (2, 3), "rest"): "abbcccca",
    ((1,), "rest", "every 4"): "abcbbbcb",
    ((1, 2, 3, 4), (5, 6, 7, 8)): "aaaabbbb",
    ("every 2", (2, 4, 6, 8)): "abababab",
}


@pytest.mark.parametrize("rules", STANDS, ids=str)
def test_each_layer_has_the_variant_that_names_it(rules: tuple[LayerRule, ...]) -> None:
    variants = (A, B, C)[: len(rules)]
    hybrid = ByLayer(layers=rules, variants=variants)
    found = [hybrid.of_layer(layer, LAYERS) for layer in range(1, LAYERS + 1)]
    assert found == [{"a": A, "b": B, "c": C}[letter] for letter in STANDS[rules]]


@pytest.mark.parametrize("dropout", [0.0, 0.25])
@pytest.mark.parametrize("impl", ["auto", "eager", "streaming"])
def test_all_layers_have_the_dropout_and_the_implementation_beside_them(dropout: float, impl: str) -> None:
    hybrid = ByLayer(dropout=dropout, impl=impl)  # type: ignore[arg-type]  # one of its texts
    of_layers = [hybrid.of_layer(layer, 4) for layer in range(1, 5)]
    assert {(one.dropout, one.impl) for one in of_layers} == {(dropout, impl)}  # type: ignore[attr-defined]
    if impl != "auto":
        model = build_model(replace(config(), attention=hybrid), seed=0)
        model(torch.arange(6)[None])
        assert {*implementations(model)} == {impl}


@pytest.mark.parametrize(
    ("variants", "says"),
    [
        ((A, Softmax(impl="eager")), "'softmax' has impl: eager, allowed: auto; attention.impl is that of all layers"),
        (
            (A, MultiToken(dropout=0.1)),
            "'multi_token' has dropout: 0.1, allowed: 0.0; attention.dropout is that of all",
        ),
        ((A, ByLayer()), "got 'by_layer' in 'by_layer'"),
        ((A,), "got 1, allowed: 2 or more"),
    ],
)
def test_variants_that_no_hybrid_has_are_refused(variants: tuple[AttentionConfig, ...], says: str) -> None:
    with pytest.raises(ComponentError) as error:
        ByLayer(layers=("every 4", "rest")[: len(variants)], variants=variants)
    assert str(error.value).startswith(f"variants: {says}")


def test_as_many_rules_as_variants() -> None:
    with pytest.raises(ComponentError, match="layers: got 3, allowed: one for each variant \\(2\\)"):
        ByLayer(layers=((1,), "every 4", "rest"))


@pytest.mark.parametrize("whole", [MultiToken(), Softmax(), Differential(), TalkingHeads()], ids=lambda one: one.name)
def test_the_same_variant_on_all_layers_is_that_variant_to_the_bit(whole: AttentionConfig) -> None:
    """Weights of a seed, and logits."""
    run, tokens = config("model.heads=2"), torch.arange(12)[None]
    found = [build_model(replace(run, attention=one), seed=3)
             for one in (whole, ByLayer(variants=(whole, whole)))]  # fmt: skip
    states = [model.state_dict() for model in found]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert torch.equal(found[0](tokens), found[1](tokens))


def test_a_hybrid_has_the_parameters_of_its_layers() -> None:
    """Layer 3 of 4 is that of the paper's model; the rest that of a Transformer."""
    counts = [count_parameters(replace(config(), attention=one)) for one in (Softmax(), MultiToken(), ByLayer())]
    gates_and_mixings = count_parameters(replace(config(), attention=MultiToken(pre_softmax=(), post_softmax=())))
    assert counts[0] < counts[2] < counts[1]
    heads, head_width = config().model.heads, config().model.width // config().model.heads
    of_a_gate, of_mixings = 2 * head_width + 1, 2 * heads**2
    assert gates_and_mixings - counts[0] == 4 * of_a_gate
    assert counts[1] - counts[2] == 3 * (of_a_gate + of_mixings)


def test_what_can_be_removed_is_each_part_on_its_layers() -> None:
    parts = {f"{part} on every 4" for part in MultiToken().removals()}
    assert {*ByLayer().removals()} == parts  # without them, all layers would be the Transformer's
    both = ByLayer(variants=(MultiToken(), Differential())).removals()
    assert {*both} == parts | {"multi_token on every 4", "differential on rest"}
    assert both["differential on rest"] == {"variants": (MultiToken(), Softmax())}
