"""The contract that every initialiser keeps, shipped or yours; see `conformance`."""

import random

import pytest
import torch
from torch import nn

from components.attention import MultiToken
from components.feed_forward import SWIGLU
from components.initialise import initialise
from components.initialisers import Drawn, InitialiserConfig, drawn_weights, rate_of, size_of
from mta_lab.testing.subjects import under_test

LAYERS = 4  # the least that have a kernel
SIZES = ((24, 2), (48, 4), (96, 4))
"""widths and heads of models"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over every initialiser under test, as it is by default."""
    found = [variant() for variant in under_test()[0] if issubclass(variant, InitialiserConfig)]
    if "initialiser" in metafunc.fixturenames:
        metafunc.parametrize("initialiser", found, ids=lambda one: one.name)


def decoder(width: int, heads: int, *, mixing: bool = True) -> nn.Module:
    """Return the parts of a decoder, under their names in it."""
    attention = MultiToken() if mixing else MultiToken(pre_softmax=(), post_softmax=())
    blocks = [
        nn.ModuleDict(
            {
                "attention": attention.build(width=width, heads=heads, layer=layer, layers=LAYERS),
                "feed_forward": SWIGLU.build(width=width, multiple=8, layer=layer, layers=LAYERS),
                "norm": nn.RMSNorm(width),
            }
        )
        for layer in range(1, LAYERS + 1)
    ]
    embedding = nn.Embedding.from_pretrained(torch.empty(40, width), freeze=False)  # type: ignore[no-untyped-call]
    return nn.ModuleDict({"embedding": embedding, "blocks": nn.ModuleList(blocks)})


def weights(initialiser: InitialiserConfig, width: int, heads: int) -> dict[str, Drawn]:
    """Return the weights of a model beside those of its base."""
    base = initialiser.base(width=width, heads=heads)
    with torch.device("meta"):
        return drawn_weights(decoder(width, heads), decoder(*base), LAYERS)


def drawn(initialiser: InitialiserConfig, seed: int, *, mixing: bool = True) -> dict[str, torch.Tensor]:
    """Return the weights that a model starts with."""
    width, heads = SIZES[1]
    model, known = decoder(width, heads, mixing=mixing), weights(initialiser, width, heads)
    initialise(model, seed, lambda name, _: size_of(initialiser, known[name]))
    return model.state_dict()


@pytest.mark.parametrize(("width", "heads"), SIZES)
def test_sizes_and_rates_are_numbers_that_a_weight_can_have(
    initialiser: InitialiserConfig, width: int, heads: int
) -> None:
    """Sizes are 0 or more, rates above 0; at least one weight is drawn at random."""
    found = weights(initialiser, width, heads)
    assert max(size_of(initialiser, weight) for weight in found.values()) > 0
    assert min(rate_of(initialiser, weight) for weight in found.values()) > 0
    assert initialiser.query_scale(width=width, heads=heads) > 0
    assert initialiser.output_scale(width=width) > 0


@pytest.mark.parametrize(("width", "heads"), SIZES)
def test_the_base_model_is_its_own_base(initialiser: InitialiserConfig, width: int, heads: int) -> None:
    base_width, base_heads = initialiser.base(width=width, heads=heads)
    assert initialiser.base(width=base_width, heads=base_heads) == (base_width, base_heads)


def test_a_size_and_a_rate_follow_from_the_weight_alone(initialiser: InitialiserConfig) -> None:
    """In whatever order weights are asked for."""
    found = weights(initialiser, *SIZES[1])
    first = {name: (initialiser.std(weight), initialiser.rate(weight)) for name, weight in found.items()}
    names = list(found)
    random.Random(0).shuffle(names)
    assert {name: (initialiser.std(found[name]), initialiser.rate(found[name])) for name in names} == first


def test_what_two_models_share_starts_equal(initialiser: InitialiserConfig) -> None:
    first, other = drawn(initialiser, 3), drawn(initialiser, 3, mixing=False)
    assert set(other) < set(first)
    assert all(torch.equal(first[name], weight) for name, weight in other.items())


def test_a_seed_decides_every_bit(initialiser: InitialiserConfig) -> None:
    first, again, other = (drawn(initialiser, seed) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert all(weight.isfinite().all() for weight in first.values())


def test_rates_other_than_one_are_announced(initialiser: InitialiserConfig) -> None:
    """So that an optimizer for which they do not hold is refused."""
    rates = {initialiser.rate(weight) for sizes in SIZES for weight in weights(initialiser, *sizes).values()}
    assert initialiser.sets_rates or rates == {1.0}
