"""A decoder that reads in chunks with a cache gives the logits of the whole.

Shapes: B batch, T tokens, V vocabulary.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TypeVar

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from components import FAMILIES
from components.attention import (
    Attention,
    AttentionConfig,
    Core,
    CoreAttention,
    Differential,
    MultiToken,
    Softmax,
    rotary_table,
)
from components.initialise import initialise
from components.kernels import streaming
from components.norms import Gate, NoNorm
from components.norms.base import ScaledRMSNorm
from components.score_ops import HeadMixing, Joint, KeyQuery
from mta_lab.config import RunConfig
from mta_lab.model import Decoder, build_model
from mta_lab.testing.chunks import each_alone, in_chunks, splits, without_padding
from tests.config.helpers import config

M = TypeVar("M", bound=nn.Module)
TOKENS, VOCABULARY = 23, 300
SMALL = ("model.width=16", f"model.vocabulary={VOCABULARY}", "model.feed_forward_multiple=16", "model.context=24")
MAIN = MultiToken(
    pre_softmax=(KeyQuery(layers="all"), HeadMixing()), post_softmax=(KeyQuery(layers="all"), HeadMixing())
)
"""the operations of the paper's main model, on a layer that has them all"""


def small(*more: str) -> RunConfig:
    return config(*SMALL, *more)


def trained(run: RunConfig) -> Decoder:
    """Return a model none of whose parameters is at its start, in float64."""
    return away_from_start(build_model(run, 0).double().eval())


def away_from_start(module: M) -> M:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    return module


def tokens(batch: int = 2, count: int = TOKENS) -> Tensor:
    return torch.randint(VOCABULARY, (batch, count), generator=torch.Generator().manual_seed(3))


def logits_in_chunks(model: Decoder, tokens_BT: Tensor, sizes: Sequence[int], padding: Sequence[int] = ()) -> Tensor:
    cache = model.new_cache(padding)
    places = pairwise(accumulate(sizes, initial=0))
    return torch.cat([model(tokens_BT[:, start:stop], cache) for start, stop in places], dim=1)


@torch.no_grad()
def logits_alone(model: Decoder, tokens_BT: Tensor, padding: Sequence[int]) -> Tensor:
    rows = zip(tokens_BT, padding, strict=True)
    return torch.cat([F.pad(model(row_T[None, pad:]), (0, 0, pad, 0)) for row_T, pad in rows])


VARIANTS = {
    **{name: (f"attention={name}",) for name in FAMILIES["attention"].names()},
    "normed queries and keys": ("attention=multi_token", "model.qk_norm=true", "model.kv_heads=2"),
    "shared keys": ("attention=multi_token", "model.kv_heads=2"),
    **{
        f"norms {name}": ("attention=multi_token", f"model.residual_norms={{name: {name}, norm: layer}}")
        for name in FAMILIES["residual_norms"].names()
    },
    "pairs that share keys": ("attention=differential", "model.kv_heads=2"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_any_split_gives_the_logits_of_the_whole(variant: str) -> None:
    model, ids = trained(small(*VARIANTS[variant])), tokens()
    assert model.new_cache().uncached is None
    whole_BTV = model(ids).detach()
    for sizes in splits(TOKENS).values():
        torch.testing.assert_close(logits_in_chunks(model, ids, sizes), whole_BTV, rtol=0, atol=1e-12)


@pytest.mark.parametrize("split", splits(TOKENS))
def test_a_sequence_behind_padding_has_the_logits_that_it_has_alone(split: str) -> None:
    model, ids, padding = trained(small("attention=multi_token")), tokens(batch=4), (0, 7, 7, TOKENS - 1)
    found_BTV = without_padding(logits_in_chunks(model, ids, splits(TOKENS)[split], padding), padding)
    torch.testing.assert_close(found_BTV, logits_alone(model, ids, padding), rtol=0, atol=1e-12)


@pytest.mark.parametrize("attention", FAMILIES["attention"].names())
def test_in_float32_chunks_differ_from_the_whole_by_rounding(attention: str) -> None:
    model, ids = trained(small(f"attention={attention}")).float(), tokens()
    whole_BTV = model(ids).detach()
    chunked_BTV = logits_in_chunks(model, ids, splits(TOKENS)["uneven chunks"])
    torch.testing.assert_close(chunked_BTV, whole_BTV, rtol=0, atol=1e-5 * whole_BTV.abs().max().item())


def test_chunks_longer_than_a_block_of_queries_give_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "BLOCK", 4)
    model, ids = trained(small("attention=multi_token")), tokens()
    found_BTV = logits_in_chunks(model, ids, [6, 13, 4])
    torch.testing.assert_close(found_BTV, model(ids).detach(), rtol=0, atol=1e-12)


def largest_error(attention: MultiToken, *, fewer: int) -> float:
    """Return how far chunks are from the whole if the cache keeps fewer queries than it should."""
    layer = away_from_start(attention.build(width=24, heads=4, layer=3, layers=4)).double().eval()
    x_BTD = torch.randn(2, TOKENS, 24, generator=torch.Generator().manual_seed(2)).double()
    rotary = rotary_table(TOKENS, 6, theta=100.0).double()
    found_BTD = in_chunks(layer, x_BTD, rotary, [1] * TOKENS, fewer=fewer)
    return (found_BTD - layer(x_BTD, rotary)).abs().max().item()


def test_the_papers_model_needs_ten_queries_and_no_fewer() -> None:
    """Of a kernel of 6 queries before and one after the softmax: 2 (6 - 1), not 6 - 1."""
    layer = MAIN.build(width=24, heads=4, layer=3, layers=4)
    assert isinstance(layer, Core)
    assert layer.earlier_queries() == 10
    assert largest_error(MAIN, fewer=0) < 1e-12
    assert largest_error(MAIN, fewer=1) > 1e-4
    assert largest_error(MAIN, fewer=5) > 1e-4


def test_a_cache_holds_no_more_queries_than_are_read() -> None:
    model, ids = trained(small("attention=multi_token")), tokens()
    cache = model.new_cache()
    model(ids, cache)
    kept = [layer._queries for layer in cache.layers]
    assert [None if one is None else one.shape[2] for one in kept] == [None, None, 10, None]


def test_beams_go_on_from_the_rows_that_they_were_chosen_from() -> None:
    model, ids = trained(small("attention=multi_token")), tokens(batch=3)
    cache = model.new_cache()
    model(ids[:, :8], cache)
    model(ids[:, 8:9], cache)  # a token alone, after which rows of weights are kept
    chosen = torch.tensor([2, 0, 2])
    beams = cache.of(chosen)
    further = torch.cat([model(ids[:, token : token + 1], beams) for token in range(9, TOKENS)], dim=1)
    expected = model(torch.cat((ids[chosen, :9], ids[:, 9:]), dim=1))[:, 9:].detach()
    torch.testing.assert_close(further, expected, rtol=0, atol=1e-12)
    untouched = model(ids[:, 9:], cache)
    torch.testing.assert_close(untouched, model(ids)[:, 9:].detach(), rtol=0, atol=1e-12)


class Backwards(Attention):
    """Attention of a user's own, which says nothing of what it reads."""

    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query_BMTd, key_BMTd, value_BMTd.cumsum(2), is_causal=True)


class Running(nn.Module):
    """A norm of a user's own, which reads earlier tokens."""

    def __init__(self, dim: int = 2) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, y: Tensor) -> Tensor:
        return y.cumsum(self.dim)


class RunningRMSNorm(ScaledRMSNorm):
    """A norm that inherits what another says of a `forward` that it replaces."""

    def forward(self, y_BMTd: Tensor) -> Tensor:
        return super().forward(y_BMTd.cumsum(2))


class Doubled(CoreAttention):
    """Attention whose `forward` takes no cache."""

    def forward(self, x_BTD: Tensor, rotary: Tensor | None = None) -> Tensor:  # type: ignore[override]
        return super().forward(2.0 * x_BTD, rotary)


def silent(kind: str) -> nn.Module:
    """Return a layer that a cache cannot stand for."""
    parts = {"width": 16, "heads": 4, "dropout": 0.0, "impl": "auto", "post_softmax": ()}
    op = KeyQuery(layers="all").build(heads=4)
    if kind == "its own arithmetic":
        return Backwards(width=16, heads=4)
    if kind == "its own forward":
        return Doubled(**parts, pre_softmax=(), norm=nn.Identity())  # type: ignore[arg-type]
    if kind == "a norm that is another's but for its forward":
        return CoreAttention(**parts, pre_softmax=(), norm=RunningRMSNorm(4))  # type: ignore[arg-type]
    if kind == "a norm that reads earlier tokens":
        return CoreAttention(**parts, pre_softmax=(), norm=Running())  # type: ignore[arg-type]
    layer = CoreAttention(**parts, pre_softmax=(op,), norm=nn.Identity())  # type: ignore[arg-type]
    if kind == "a projection of another class":
        layer.key = nn.Sequential(nn.Linear(16, 16, bias=False), Running(dim=1))  # type: ignore[assignment]
    elif kind == "a hook":
        op.register_forward_hook(lambda module, given, scores: 2.0 * scores)
    else:
        layer.attend = lambda q, k, v: Backwards.attend(layer, q, k, v)  # type: ignore[method-assign, arg-type]
    return layer


SILENT = {
    "its own arithmetic": "layer 2: Backwards computes attention itself, and does not say what it reads of earlier tok",
    "its own forward": "layer 2: Doubled has its own forward",
    "a norm that reads earlier tokens": "layer 2: Running does not say of its forward that it reads each_token_alone",
    "a norm that is another's but for its forward": "layer 2: RunningRMSNorm does not say of its forward",
    "a projection of another class": "layer 2: Sequential does not say of its forward",
    "a hook": "layer 2: KeyQueryConvolution has hooks",
    "another attend": "layer 2: CoreAttention has its own attend",
}


@pytest.mark.parametrize("kind", SILENT)
def test_what_does_not_say_what_it_reads_is_computed_anew_and_said(kind: str) -> None:
    model, ids, padding = trained(small()), tokens(batch=3), (0, 5, 12)
    model.blocks[1].attention = away_from_start(silent(kind)).double().eval()
    assert (model.new_cache().uncached or "").startswith(SILENT[kind])
    for sizes in ([1] * TOKENS, [14, 9]):
        torch.testing.assert_close(logits_in_chunks(model, ids, sizes), model(ids).detach(), rtol=0, atol=1e-12)
        found_BTV = logits_in_chunks(model, ids, sizes, padding)
        expected_BTV = logits_alone(model, ids, padding)
        for row, pad in enumerate(padding):
            torch.testing.assert_close(found_BTV[row, pad:], expected_BTV[row, pad:], rtol=0, atol=1e-12)


def test_more_tokens_than_the_context_are_refused_and_padding_does_not_count() -> None:
    model = trained(small())
    cache = model.new_cache(padding=(4, 3))
    model(tokens(count=20), cache)
    model(tokens(count=7), cache)
    with pytest.raises(ValueError, match=r"^tokens: got 25 in a sequence, allowed: up to the model's context \(24\)$"):
        model(tokens(count=1), cache)


def test_dropout_is_refused_while_training() -> None:
    model = trained(small("attention.dropout=0.5")).train()
    with pytest.raises(ValueError, match=r"^cache: dropout 0\.5 while training"):
        model(tokens(), model.new_cache())


sizes = st.lists(st.integers(1, 9), min_size=1, max_size=6)
kernels = st.builds(
    KeyQuery,
    layers=st.just("all"),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 6)),
    mask=st.sampled_from(["double", "exact"]),
    padding=st.sampled_from(["both", "left", "right"]),
)
mixings = st.builds(HeadMixing, group=st.sampled_from([1, 2, 4, "all"]))
joints = st.builds(
    Joint,
    layers=st.just("all"),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    group=st.sampled_from([1, 2, 4]),
)
lists = st.lists(st.one_of(kernels, mixings, joints), max_size=3).filter(
    lambda ops: not any(getattr(op, "mask", "") == "exact" for op in ops[1:])  # refused behind most others
)
attentions: st.SearchStrategy[AttentionConfig] = st.one_of(
    st.builds(
        MultiToken,
        pre_softmax=lists.map(tuple),
        post_softmax=lists.map(tuple),
        norm=st.sampled_from([NoNorm(), Gate(), Gate(per="channel")]),
    ),
    st.just(Softmax()),
    st.just(Differential()),
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(attention=attentions, kv_heads=st.sampled_from([2, 4]), sizes=sizes, data=st.data())
def test_random_configurations_give_the_whole_in_random_chunks(
    attention: AttentionConfig, kv_heads: int, sizes: list[int], data: st.DataObject
) -> None:
    layer = attention.build(width=24, heads=4, layer=1, layers=2)
    assert isinstance(layer, Attention)
    layer.share_keys(kv_heads)
    initialise(layer, 0)
    layer = away_from_start(layer).double().eval()
    count = sum(sizes)
    padding = data.draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=2))
    x_BTD = torch.randn(2, count, 24, generator=torch.Generator().manual_seed(2)).double()
    rotary = rotary_table(count, 6, theta=100.0).double()
    found_BTD = without_padding(in_chunks(layer, x_BTD, rotary, sizes, padding), padding)
    torch.testing.assert_close(found_BTD, each_alone(layer, x_BTD, rotary, padding), rtol=0, atol=1e-12)
