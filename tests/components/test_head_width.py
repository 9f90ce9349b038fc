"""Heads whose width is not width / heads, held to loops over the equations, outputs and gradients.

Shapes: B batch, T tokens, V vocabulary.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn

from components.attention import AttentionConfig, Differential, MultiToken, Softmax, TalkingHeads, set_model_width
from components.registry import ComponentError
from mta_lab.config import RunConfig, fingerprint, plain
from mta_lab.model import Decoder, build_model, count_parameters
from mta_lab.testing import loops
from tests.config.helpers import config

VARIANTS: tuple[AttentionConfig, ...] = (Softmax(), TalkingHeads(), Differential(), MultiToken())
HEADS, TOKENS, VOCABULARY, THETA = 4, 8, 257, 100_000.0
SIZES = (
    f"model.heads={HEADS}",
    "model.width=20",
    "model.layers=3",
    f"model.vocabulary={VOCABULARY}",
    "model.context=24",
    "model.feed_forward_multiple=16",
)


def run(head_width: int, *more: str) -> RunConfig:
    return config(*SIZES, f"model.head_width={head_width}", *more)


def trained(settings: RunConfig) -> Decoder:
    """Return a model none of whose parameters is at its start, in float64."""
    model, generator = build_model(settings, seed=0).double().eval(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64), alpha=0.1)
    return model


@pytest.mark.parametrize("head_width", [2, 12])
@pytest.mark.parametrize("attention", VARIANTS, ids=lambda one: one.name)
def test_the_decoder_computes_what_is_published(attention: AttentionConfig, head_width: int) -> None:
    model, generator = trained(replace(run(head_width), attention=attention)), torch.Generator().manual_seed(2)
    tokens_BT = torch.randint(VOCABULARY, (1, TOKENS), generator=generator)
    upstream_BTV = torch.randn(1, TOKENS, VOCABULARY, generator=generator, dtype=torch.float64)
    leaves = dict(model.named_parameters())
    found, expected = (
        {"logits": logits_BTV.detach()}
        | dict(zip(leaves, torch.autograd.grad(logits_BTV, [*leaves.values()], upstream_BTV), strict=True))
        for logits_BTV in (
            model(tokens_BT),
            loops.decoder(attention, model, tokens_BT, heads=HEADS, theta=THETA),
        )
    )
    for name, value in expected.items():  # the rotary table is float32
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5 * value.abs().max().item(), msg=name)


@pytest.mark.parametrize("attention", VARIANTS, ids=lambda one: one.name)
def test_chunks_read_with_a_cache_give_the_logits_of_the_whole(attention: AttentionConfig) -> None:
    model = trained(replace(run(6, "model.kv_heads=2"), attention=attention))
    tokens_BT = torch.randint(VOCABULARY, (2, 20), generator=torch.Generator().manual_seed(3))
    cache = model.new_cache()
    parts = [model(part_BT, cache) for part_BT in tokens_BT.split((7, 1, 1, 11), dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(tokens_BT).detach(), rtol=0, atol=1e-12)
    assert cache.uncached is None


def test_heads_of_the_usual_width_are_those_of_a_run_that_sets_none() -> None:
    usual = build_model(config("model.heads=4"), seed=3).state_dict()
    found = build_model(config("model.heads=4", f"model.head_width={config().model.width // 4}"), seed=3).state_dict()
    assert usual.keys() == found.keys()
    assert all(torch.equal(value, usual[name]) for name, value in found.items())


def test_wider_heads_have_more_parameters_and_another_identity() -> None:
    few, many = run(6), run(12)
    assert "head_width" not in plain(config())["model"]
    assert fingerprint(few, "") != fingerprint(many, "")
    assert count_parameters(many) - count_parameters(few) == 3 * 4 * 20 * HEADS * 6  # of each layer four projections


def test_heads_that_do_not_divide_the_width_are_allowed_where_theirs_is_set() -> None:
    model = replace(run(6).model, heads=3)
    assert (model.attention_width, model.channels) == (18, 6)


def test_an_attention_with_projections_of_its_own_is_refused() -> None:
    with pytest.raises(ComponentError, match="head_width: got one that is not width / heads, but Linear has proj"):
        set_model_width(nn.Linear(4, 4), 8)
