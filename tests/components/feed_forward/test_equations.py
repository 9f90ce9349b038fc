"""Feed-forwards are their equations, written out here in float64 for one token after another."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from components import ComponentError, set_compiled
from components.auxiliary import auxiliary_losses
from components.feed_forward import FeedForwardConfig, Gelu, Mixture, ReluSquared, Swiglu, hidden_width
from components.initialise import initialise
from mta_lab.model import build_model
from mta_lab.training.loss import predict
from tests.config.helpers import config

WIDTH, TOKENS = 6, 5
Weights = dict[str, Tensor]


def swiglu(x_D: Tensor, weights: Weights, at: str = "") -> Tensor:
    a_H, b_H = weights[f"{at}gate.weight"] @ x_D, weights[f"{at}up.weight"] @ x_D
    return weights[f"{at}down.weight"] @ (a_H / (1 + torch.exp(-a_H)) * b_H)


def gelu(x_D: Tensor, weights: Weights) -> Tensor:
    a_H = weights["up.weight"] @ x_D
    return weights["down.weight"] @ (a_H * 0.5 * (1 + torch.erf(a_H / math.sqrt(2))))


def relu_squared(x_D: Tensor, weights: Weights) -> Tensor:
    a_H = weights["up.weight"] @ x_D
    return weights["down.weight"] @ torch.where(a_H > 0, a_H * a_H, 0.0 * a_H)


def mixture(x_D: Tensor, weights: Weights, active: int = 2) -> Tensor:
    scores_E = weights["router.weight"] @ x_D
    best = sorted(range(len(scores_E)), key=lambda expert: -scores_E[expert].item())[:active]
    total = torch.stack([scores_E[expert].exp() for expert in best]).sum()
    parts = [scores_E[expert].exp() / total * swiglu(x_D, weights, f"experts.{expert}.") for expert in best]
    return torch.stack(parts).sum(0)


EQUATIONS: dict[FeedForwardConfig, Callable[[Tensor, Weights], Tensor]] = {
    Swiglu(): swiglu,
    Gelu(): gelu,
    ReluSquared(): relu_squared,
    Mixture(): mixture,
    Mixture(experts=3, active=3): lambda x_D, weights: mixture(x_D, weights, 3),
    Mixture(experts=5, active=1): lambda x_D, weights: mixture(x_D, weights, 1),
}


def built(feed_forward: FeedForwardConfig) -> nn.Module:
    module = feed_forward.build(width=WIDTH, multiple=4, layer=1, layers=2).double()
    initialise(set_compiled(module, False), seed=0)
    return module


def gradients(y_TD: Tensor, leaves: Sequence[Tensor]) -> Sequence[Tensor]:
    return torch.autograd.grad(y_TD.sin().sum(), leaves, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("feed_forward", EQUATIONS, ids=str)
def test_outputs_and_gradients_are_those_of_the_equations(feed_forward: FeedForwardConfig) -> None:
    module = built(feed_forward)
    x_TD = torch.randn(TOKENS, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    weights = dict(module.named_parameters())
    expected_TD = torch.stack([EQUATIONS[feed_forward](x_D, weights) for x_D in x_TD])
    found_TD = module(x_TD[None])[0]
    torch.testing.assert_close(found_TD, expected_TD, rtol=0, atol=1e-12)
    leaves = [x_TD, *weights.values()]
    for one, other in zip(gradients(found_TD, leaves), gradients(expected_TD, leaves), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_the_load_is_balanced_by_sequence() -> None:
    """Switch Transformer's equation 4 for each sequence, and the mean of these."""
    module = built(Mixture(experts=3, active=2))
    x_BTD = torch.randn(4, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    module(x_BTD)
    losses = []
    for x_TD in x_BTD:
        probabilities = [[*(module.router.weight @ x_D).softmax(-1)] for x_D in x_TD]  # type: ignore[union-attr]
        chosen = [sorted(range(3), key=lambda e, p=p: -p[e].item())[:2] for p in probabilities]
        share = [sum(e in those for those in chosen) / (2 * TOKENS) for e in range(3)]
        mean = [sum(p[e] for p in probabilities) / TOKENS for e in range(3)]
        losses.append(3 * sum(f * p for f, p in zip(share, mean, strict=True)))
    torch.testing.assert_close(auxiliary_losses(module)["load_balance"], torch.stack(losses).mean())


def test_an_even_load_costs_one_and_a_single_expert_costs_all() -> None:
    module = Mixture(experts=4, active=1).build(width=4, multiple=4, layer=1, layers=1)
    initialise(module, seed=0)
    for router, cost in ((1e3 * torch.eye(4), 1.0), (torch.tensor([[1e3] * 4, *[[0.0] * 4] * 3]), 4.0)):
        with torch.no_grad():
            module.router.weight.copy_(router)  # type: ignore[union-attr]
        module(torch.eye(4)[None])
        assert auxiliary_losses(module)["load_balance"].item() == pytest.approx(cost)


@pytest.mark.parametrize("width", [8, 64, 96, 100, 1536])
def test_two_matrices_have_the_weights_of_three(width: int) -> None:
    """But for rounding up; active experts together are as wide as one SwiGLU."""
    assert hidden_width(width, 1) == math.ceil(8 * width / 3)
    assert abs(2 * hidden_width(width, 1, 4.0) - 3 * hidden_width(width, 1)) <= 3
    experts = Mixture(experts=5, active=2).build(width=width, multiple=8, layer=1, layers=1).experts
    assert 2 * experts[0].up.out_features == hidden_width(width, 8)  # type: ignore[index, union-attr]


def test_recomputed_blocks_have_the_losses_and_gradients_of_kept_ones() -> None:
    """A block that is computed twice balances its load once."""
    sizes = ("model.width=16", "model.heads=2", "model.layers=2", "model.vocabulary=300", "model.context=8")
    found = []
    for recompute in ("none", "blocks"):
        run = config(*sizes, "model.feed_forward=mixture", f"training.recompute={recompute}")
        model = build_model(run, seed=0).train()
        prediction = predict(model, torch.arange(9)[None] % 28, "fp32")
        loss = prediction.losses().mean() + sum(auxiliary_losses(model).values())
        found.append([loss, *torch.autograd.grad(loss, [*model.parameters()])])
    for kept, recomputed in zip(*found, strict=True):
        torch.testing.assert_close(recomputed, kept, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Gelu(size=0.0), "size: got 0.0, allowed: more than 0, at most 1024"),
        (lambda: Swiglu(size=2000.0), "size: got 2000.0, allowed: more than 0, at most 1024"),
        (lambda: Mixture(experts=1, active=1), "experts: got 1, allowed: 2 to 1024"),
        (lambda: Mixture(experts=2, active=3), r"active: got 3, allowed: 1 to experts \(2\)"),
    ],
)
def test_a_setting_that_no_feed_forward_has_is_refused(build: Callable[[], FeedForwardConfig], said: str) -> None:
    with pytest.raises(ComponentError, match=said):
        build()
