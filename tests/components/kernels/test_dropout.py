"""Dropout of attention weights: the right share, the same weights in every form and batch.

Shapes: B batch, M heads, T tokens, D model width, d head width, Q query position, K key position.
"""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from components.attention import CoreAttention, Differential, MultiToken, Softmax, TalkingHeads, set_dropout_seeds
from components.kernels import streaming
from components.kernels.base import MapOps
from components.kernels.choice import IMPLEMENTATIONS
from components.kernels.dropout import Dropout
from components.kernels.eager import Eager
from components.norms import NoNorm
from components.registry import ComponentError
from mta_lab.testing import implementations
from tests.components.kernels.cases import Case, assert_close, run

SHARE, HEADS, TOKENS = 0.3, 2, 200
DROPPING = [name for name in implementations.IMPLEMENTATIONS if name != "sdpa"]
VARIANTS = [Softmax, TalkingHeads, MultiToken, Differential]
every_impl = pytest.mark.parametrize("impl", DROPPING)
VISIBLE_QK = torch.ones(TOKENS, TOKENS).tril().bool()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "BLOCK", 16)


def kept(share: float = SHARE, seed: int = 1) -> Tensor:
    """Return which weights of a sequence are kept: [M, Q, K]."""
    return Dropout(share, torch.tensor([seed])).kept(HEADS, TOKENS, TOKENS)[0]


def test_the_share_is_dropped_in_each_head_at_places_of_its_own() -> None:
    kept_MQK = kept()
    for head in kept_MQK:
        assert head[VISIBLE_QK].float().mean().item() == pytest.approx(1 - SHARE, abs=0.02)  # 20,100 draws
    both = (kept_MQK[0] & kept_MQK[1])[VISIBLE_QK].float().mean().item()
    assert both == pytest.approx((1 - SHARE) ** 2, abs=0.02)  # heads are independent,
    for shift in ((1, 0), (2, 0), (0, 1), (0, 3), (1, 1)):  # and so are neighbouring queries and keys
        both = (kept_MQK & kept_MQK.roll(shift, dims=(1, 2))).float().mean().item()
        assert both == pytest.approx((1 - SHARE) ** 2, abs=0.02)


def test_other_seeds_drop_other_places() -> None:
    agree = (kept(seed=1) == kept(seed=2)).float().mean().item()
    assert agree == pytest.approx((1 - SHARE) ** 2 + SHARE**2, abs=0.02)


def test_a_later_block_of_rows_drops_what_the_whole_map_drops_there() -> None:
    whole_MQK = kept()
    block_MQK = Dropout(SHARE, torch.tensor([1])).kept(HEADS, 30, 120)[0]
    assert torch.equal(block_MQK, whole_MQK[:, 90:120, :120])


def test_neighbouring_heads_may_share_what_is_dropped() -> None:
    kept_BMQK = Dropout(SHARE, torch.tensor([1, 2]), heads_a_mask=2).kept(4, 50, 50)
    assert torch.equal(kept_BMQK[:, 0::2], kept_BMQK[:, 1::2])
    assert not torch.equal(kept_BMQK[:, 0], kept_BMQK[:, 2])


@every_impl
@pytest.mark.parametrize("order", ["softmax", "kq", "softmax kq mix", "kq mix softmax kq mix"])
@pytest.mark.parametrize("heads_a_mask", [1, 2])
@pytest.mark.usefixtures("able")
def test_every_implementation_drops_the_same_weights(
    impl: str, order: str, heads_a_mask: int, device: torch.device
) -> None:
    """Outputs and all gradients are those of the eager form times the mask that is written out."""
    case, seeds = Case(order, heads=2, tokens=40, width=8, batch=2), torch.tensor([3, -(2**62)])
    dropout = Dropout(SHARE, seeds.to(device), heads_a_mask)
    found = run(partial(dropped, impl=impl, given=dropout), case, torch.float32, device)
    mask_BMQK = Dropout(SHARE, seeds, heads_a_mask).kept(2, 40, 40) / (1 - SHARE)
    assert_close(found, run(partial(masked, mask_BMQK=mask_BMQK), case, torch.float64), 3e-5)


def dropped(query: Tensor, key: Tensor, value: Tensor, ops: MapOps, dropout: None, impl: str, given: Dropout) -> Tensor:
    """The implementation with dropout, whatever is asked for."""
    return IMPLEMENTATIONS[impl].attend(query, key, value, ops, given)


def masked(query: Tensor, key: Tensor, value: Tensor, ops: MapOps, dropout: None, mask_BMQK: Tensor) -> Tensor:
    """Return the eager form's result with a mask on its final weights.

    These come out with the identity as values.
    """
    identity = torch.eye(query.shape[-2], dtype=query.dtype).expand(*query.shape[:-1], -1)
    return Eager().attend(query, key, identity, ops, None) * mask_BMQK @ value


def built(variant: type, **settings: object) -> CoreAttention:
    """Return a layer that drops half of its weights, and starts the same each time."""
    torch.manual_seed(1)
    module = variant(dropout=0.5, **settings).build(width=12, heads=2, layer=3, layers=4)
    assert isinstance(module, CoreAttention)
    return module


@pytest.mark.parametrize("variant", VARIANTS)
@every_impl
@pytest.mark.usefixtures("able")
def test_a_sequence_loses_the_same_weights_in_any_batch(variant: type, impl: str, device: torch.device) -> None:
    module, x_BTD = built(variant, impl=impl).to(device), torch.randn(4, 40, 12).to(device)
    seeds = torch.tensor([5, 6, 7, 8], device=device)
    set_dropout_seeds(module, seeds)
    whole_BTD = module(x_BTD)
    parts = []
    for sequences in (slice(0, 1), slice(1, 4)):
        set_dropout_seeds(module, seeds[sequences])
        parts.append(module(x_BTD[sequences]))
    torch.testing.assert_close(torch.cat(parts), whole_BTD, rtol=1e-5, atol=1e-6)
    set_dropout_seeds(module, None)
    assert not torch.allclose(module(x_BTD), whole_BTD, atol=1e-3)


def test_layers_drop_weights_of_their_own() -> None:
    layers = torch.nn.ModuleList(built(Softmax) for _ in range(2))
    set_dropout_seeds(layers, torch.tensor([5]))
    x_BTD = torch.randn(1, 40, 12)
    first_BTD, second_BTD = (layer(x_BTD) for layer in layers)
    assert not torch.allclose(first_BTD, second_BTD, atol=1e-3)


def test_seeds_for_another_number_of_sequences_are_refused() -> None:
    module = built(Softmax)
    set_dropout_seeds(module, torch.tensor([5, 6, 7]))
    with pytest.raises(ComponentError, match=r"dropout seeds: got 3, allowed: as many as sequences \(2\)"):
        module(torch.randn(2, 8, 12))


@every_impl
@pytest.mark.usefixtures("able")
def test_nothing_is_dropped_in_evaluation(impl: str, device: torch.device) -> None:
    configs = [MultiToken(impl=impl, norm=NoNorm(), dropout=share) for share in (0.5, 0.0)]
    dropping, plain = (config.build(width=12, heads=2, layer=3, layers=4).to(device) for config in configs)
    plain.load_state_dict(dropping.state_dict())
    x_BTD = torch.randn(2, 40, 12).to(device)
    assert torch.equal(dropping.eval()(x_BTD), plain.eval()(x_BTD))
    assert not torch.allclose(dropping.train()(x_BTD), plain.train()(x_BTD))


@every_impl
@pytest.mark.parametrize("variant", [Softmax, Differential])
@pytest.mark.usefixtures("able")
def test_the_mean_over_many_draws_is_the_output_in_evaluation(variant: type, impl: str, device: torch.device) -> None:
    module = built(variant, impl=impl).to(device)
    module.norm = torch.nn.Identity()  # so that the output is linear in the weights
    x_BTD = torch.randn(1, 20, 12).to(device)
    with torch.no_grad():
        expected_BTD = module.eval()(x_BTD)
        drawn_BTD = module.train()(x_BTD.expand(4000, -1, -1))
    error = (drawn_BTD.mean(0) - expected_BTD[0]).abs()
    assert (error < 6 * drawn_BTD.std(0) / 4000**0.5 + 1e-6).all()


def test_torchs_own_attention_is_refused_where_weights_are_dropped() -> None:
    with pytest.raises(ComponentError, match="impl: got 'sdpa', but torch's attention drops weights by the batch"):
        Softmax(dropout=0.1, impl="sdpa").build(width=12, heads=2, layer=1, layers=1)


@pytest.mark.parametrize("seeds", [torch.tensor([5.0]), torch.tensor([5], dtype=torch.int32), torch.tensor(5), [5], 5])
def test_seeds_of_another_kind_are_refused(seeds: Any) -> None:
    with pytest.raises(ComponentError, match=r"dropout seeds: got .*, allowed: one a sequence, int64 \[batch\]"):
        set_dropout_seeds(torch.nn.Identity(), seeds)
