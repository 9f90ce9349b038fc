"""Dropout on the attention weights: the right share, unbiased, the same in both passes.

Shapes: B batch, M heads, T tokens, Q query position, K key position, d head width.
"""

import pytest
import torch
from torch import Tensor

from components.attention import Differential, MultiToken
from components.attention.differential import PairDifference
from components.kernels import streaming
from components.kernels.base import MapOps
from components.kernels.choice import IMPLEMENTATIONS
from components.norms import NoNorm
from components.score_ops import HeadMixing
from mta_lab.testing import implementations

SHARE, HEADS, TOKENS = 0.3, 2, 200
every_impl = pytest.mark.parametrize("impl", implementations.IMPLEMENTATIONS)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "BLOCK", 16)


def dropped(impl: str, value_BMTd: Tensor) -> Tensor:
    """Equal weights on all visible keys, some of them dropped, times `value_BMTd`."""
    implementations.require(impl)
    torch.manual_seed(1)
    nothing = torch.zeros_like(value_BMTd)
    op = HeadMixing(group=1).build(heads=HEADS)
    return IMPLEMENTATIONS[impl].attend(nothing, nothing, value_BMTd, MapOps([op]), dropout=SHARE)


def identity() -> Tensor:
    """Values whose weighted sums are the weights themselves."""
    return torch.eye(TOKENS).expand(1, HEADS, TOKENS, TOKENS)


@every_impl
def test_the_share_is_dropped_and_the_rest_scaled(impl: str) -> None:
    queries = torch.arange(1.0, TOKENS + 1)[:, None]
    weights_MQK = dropped(impl, identity())[0] * queries  # 1 where nothing is dropped
    visible_MQK = weights_MQK[:, torch.ones(TOKENS, TOKENS).tril().bool()]
    kept = visible_MQK[visible_MQK != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - SHARE)), rtol=1e-4, atol=0)
    assert visible_MQK.mean().item() == pytest.approx(1, abs=0.02)  # 40,200 draws: 6 standard deviations
    assert not torch.equal(*(visible_MQK != 0))  # each head drops its own
    assert not weights_MQK.triu(1).any()


@every_impl
def test_the_backward_pass_drops_the_same_weights(impl: str) -> None:
    weights_MQK = dropped(impl, identity())[0]
    value_BMTd = torch.ones(1, HEADS, TOKENS, 8, requires_grad=True)
    dropped(impl, value_BMTd)[..., 0].sum().backward()
    assert value_BMTd.grad is not None
    torch.testing.assert_close(value_BMTd.grad[0, ..., 0], weights_MQK.sum(1))


@every_impl
def test_nothing_is_dropped_in_evaluation(impl: str) -> None:
    implementations.require(impl)
    configs = [MultiToken(impl=impl, norm=NoNorm(), dropout=share) for share in (0.5, 0.0)]
    dropping, plain = (config.build(width=12, heads=2, layer=3, layers=4) for config in configs)
    plain.load_state_dict(dropping.state_dict())
    x_BTD = torch.randn(2, 40, 12)
    assert torch.equal(dropping.eval()(x_BTD), plain.eval()(x_BTD))
    assert not torch.allclose(dropping.train()(x_BTD), plain.train()(x_BTD))


def test_a_pair_of_heads_shares_what_is_dropped() -> None:
    """DIFF has one map a pair: both halves of its wide value see the same weights."""
    op = PairDifference(heads=6, width=4, layer=1, dropout=SHARE)
    maps_BMQK = op(torch.rand(1, 6, 100, 100), torch.ones(100, 100).tril().bool())
    first_BMQK, second_BMQK = maps_BMQK[:, 0::2], maps_BMQK[:, 1::2]
    assert torch.equal(first_BMQK, second_BMQK)
    assert (first_BMQK == 0).float().mean().item() == pytest.approx(SHARE, abs=0.02)
    assert not torch.equal(first_BMQK[:, 0] == 0, first_BMQK[:, 1] == 0)
    assert not (op.eval()(torch.rand(1, 6, 9, 9), torch.ones(9, 9).tril().bool()) == 0).any()


@pytest.mark.parametrize("impl", ["eager", "streaming"])
def test_differential_drops_once(impl: str) -> None:
    """Half of the weights are kept: over many draws, the mean is the output in evaluation."""
    torch.manual_seed(1)
    module = Differential(impl=impl, dropout=0.5).build(width=8, heads=2, layer=1, layers=1)
    module.norm = torch.nn.Identity()  # so that the output is linear in the weights
    x_BTD = torch.randn(1, 20, 8)
    with torch.no_grad():
        expected_BTD = module.eval()(x_BTD)
        drawn_BTD = module.train()(x_BTD.expand(4000, -1, -1))
    error = (drawn_BTD.mean(0) - expected_BTD[0]).abs()
    assert (error < 6 * drawn_BTD.std(0) / 4000**0.5 + 1e-6).all()
