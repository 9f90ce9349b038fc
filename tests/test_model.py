"""The decoder: parameter counts, paired starts and causality of the whole model."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from components import FAMILIES
from components.attention import AttentionConfig
from mta_lab.config import RunConfig, scales
from mta_lab.model import Decoder, build_model, count_parameters
from tests.config.helpers import config

ATTENTIONS = FAMILIES["attention"].names()
SMALL = ("model.width=32", "model.vocabulary=300", "model.feed_forward_multiple=32", "model.context=16")


def small(attention: str) -> RunConfig:
    return config(*SMALL, f"attention={attention}")


def tokens(run: RunConfig, count: int = 12) -> torch.Tensor:
    return torch.randint(run.model.vocabulary, (2, count), generator=torch.Generator().manual_seed(3))


def expected_softmax_parameters(run: RunConfig) -> int:
    """Count by hand: tied embedding, four projections, three feed-forward matrices, the norms.

    There are two norms a block and one at the end.
    """
    width, multiple = run.model.width, run.model.feed_forward_multiple
    hidden = multiple * math.ceil(8 * width / 3 / multiple)
    block = 4 * width**2 + 3 * width * hidden + 2 * width
    return run.model.vocabulary * width + run.model.layers * block + width


@pytest.mark.parametrize("scale", scales())
def test_transformer_has_the_parameters_that_its_sizes_say(scale: str) -> None:
    run = config(scale=scale)
    assert count_parameters(run) == expected_softmax_parameters(run)


@pytest.mark.parametrize("scale", [scale for scale in scales() if scale.startswith("paper-")])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_paper_scales_build_without_memory(attention: str, scale: str) -> None:
    run = config(f"attention={attention}", scale=scale)
    with torch.device("meta"):
        model = Decoder(run.model, run.attention)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    extra = sum(parameter.numel() for parameter in model.parameters()) - expected_softmax_parameters(run)
    assert 0 <= extra < 0.001 * expected_softmax_parameters(run)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_count_is_of_the_model_that_is_trained(attention: str) -> None:
    run = small(attention)
    model = build_model(run, 0)
    assert count_parameters(run) == sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_more_tokens_than_the_context_are_refused() -> None:
    run = small("softmax")
    model = build_model(run, 0)
    assert model(tokens(run, run.model.context)).shape == (2, 16, 300)
    with pytest.raises(ValueError, match=r"^tokens: got 17 in a sequence, allowed: up to the model's context \(16\)$"):
        model(tokens(run, 17))


def test_parameters_that_variants_share_start_equal() -> None:
    starts = {attention: build_model(small(attention), 4).state_dict() for attention in ATTENTIONS}
    softmax = starts["softmax"]
    for attention, start in starts.items():
        assert set(softmax) <= set(start), f"{attention} lacks parameters of the baseline"
        moved = [name for name in softmax if not torch.equal(softmax[name], start[name])]
        assert not moved, f"{attention} starts elsewhere"


def test_seed_decides_the_start() -> None:
    first, again, other = (build_model(small("multi_token"), seed).state_dict() for seed in (4, 4, 5))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])
    name = "blocks.0.attention.query.weight"
    assert not torch.equal(first[name], other[name])
    assert not torch.equal(first[name], first["blocks.1.attention.query.weight"])


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_logits_are_finite_and_near_uniform_at_the_start(attention: str) -> None:
    run = small(attention)
    ids = tokens(run)
    with torch.no_grad():
        logits = build_model(run, 0)(ids)
    assert logits.shape == (2, 12, 300)
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).item()
    assert math.log(300) - 0.5 < loss < math.log(300) + 2


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_later_tokens_change_no_earlier_logits(attention: str) -> None:
    run = small(attention)
    model, ids = build_model(run, 0), tokens(run)
    with torch.no_grad():
        before = model(ids)
        for t in (1, 6, 11):
            changed = ids.clone()
            changed[:, t:] = (changed[:, t:] + 1) % run.model.vocabulary
            after = model(changed)
            assert torch.equal(after[:, :t], before[:, :t])
            assert not torch.allclose(after[:, t], before[:, t])


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_prefix_alone_gives_the_same_logits(attention: str) -> None:
    run = small(attention)
    model, ids = build_model(run, 0).double(), tokens(run)
    with torch.no_grad():
        torch.testing.assert_close(model(ids[:, :5]), model(ids)[:, :5], rtol=0, atol=1e-10)


def test_order_of_earlier_tokens_matters() -> None:
    """Without positions, attention would read the prefix as a bag."""
    run = small("softmax")
    model, ids = build_model(run, 0), tokens(run)
    swapped = ids[:, [1, 0, *range(2, 12)]]
    with torch.no_grad():
        assert not torch.allclose(model(ids)[:, -1], model(swapped)[:, -1], atol=1e-5)


def test_every_parameter_learns() -> None:
    run = small("multi_token")
    model, ids = build_model(run, 0), tokens(run)
    F.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_what_a_constructor_draws_depends_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed random projection is a buffer, which `initialise` does not draw."""
    kind = type(small("softmax").attention)
    build = kind.build

    def with_buffer(self: AttentionConfig, **sizes: int) -> nn.Module:
        module = build(self, **sizes)
        module.register_buffer("projection", torch.randn(4))
        return module

    monkeypatch.setattr(kind, "build", with_buffer)
    with torch.random.fork_rng():
        drawn = []
        for before, seed in ((1, 4), (2, 4), (2, 5)):
            torch.manual_seed(before)
            expected = torch.Generator().manual_seed(before)
            drawn.append(build_model(small("softmax"), seed).get_buffer("blocks.0.attention.projection"))
            assert torch.equal(torch.rand(3), torch.rand(3, generator=expected))  # what others draw does not move
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])
