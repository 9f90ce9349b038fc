"""The contract that every feed-forward keeps, shipped or yours; see `conformance`.

Shapes: B batch, T tokens, D model width.
"""

import pytest
import torch
from torch import Tensor, nn

from components import set_compiled
from components.auxiliary import auxiliary_losses
from components.feed_forward import FeedForwardConfig
from components.initialise import initialise
from mta_lab.testing.subjects import BATCH, LAYERS, TOKENS, WIDTH, under_test

MULTIPLE = 8


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over every feed-forward under test, as it is by default."""
    found = [variant() for variant in under_test()[0] if issubclass(variant, FeedForwardConfig)]
    if "feed_forward" in metafunc.fixturenames:
        metafunc.parametrize("feed_forward", found, ids=lambda one: one.name)


def build(feed_forward: FeedForwardConfig, seed: int = 0, layer: int = 1) -> nn.Module:
    """Return the module of a layer, initialised."""
    module = feed_forward.build(width=WIDTH, multiple=MULTIPLE, layer=layer, layers=LAYERS)
    initialise(module, seed)
    return module


def tokens(dtype: torch.dtype = torch.float32) -> Tensor:
    """Return random input [B, T, D], the same at each call."""
    return torch.randn(BATCH, TOKENS, WIDTH, generator=torch.Generator().manual_seed(2)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("layer", range(1, LAYERS + 1))
def test_the_output_is_finite_and_shaped_as_the_input(
    feed_forward: FeedForwardConfig, layer: int, dtype: torch.dtype
) -> None:
    y_BTD = build(feed_forward, layer=layer).to(dtype)(tokens(dtype))
    assert (y_BTD.shape, y_BTD.dtype) == ((BATCH, TOKENS, WIDTH), dtype)
    assert y_BTD.isfinite().all()


def test_every_parameter_receives_a_finite_gradient(feed_forward: FeedForwardConfig) -> None:
    """With its own losses in the sum; one token alone gives a gradient, perhaps of zeros, too."""
    for x_BTD, some in ((tokens(), True), (tokens()[:1, :1], False)):
        module = build(feed_forward)
        (module(x_BTD).square().sum() + sum(auxiliary_losses(module).values())).backward()
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, f"{name} is not part of the computation"
            assert parameter.grad.isfinite().all(), name
            assert not some or parameter.grad.any(), f"{name} receives no gradient"


def test_each_token_is_read_alone(feed_forward: FeedForwardConfig) -> None:
    """No token sees another, earlier or later, of its sequence or of another."""
    module, x_BTD = build(feed_forward).double(), tokens(torch.float64)
    one_by_one = [module(x_BTD[row : row + 1, t : t + 1]) for row in range(BATCH) for t in range(TOKENS)]
    alone_BTD = torch.cat(one_by_one, dim=1).view_as(x_BTD)
    torch.testing.assert_close(module(x_BTD), alone_BTD, rtol=0, atol=1e-12)


def test_losses_are_means_over_sequences(feed_forward: FeedForwardConfig) -> None:
    """A batch has the same losses in however many parts it is read."""
    module, x_BTD = build(feed_forward).double(), tokens(torch.float64)
    module(x_BTD)
    whole, parts = auxiliary_losses(module), []
    for row in range(BATCH):
        module(x_BTD[row : row + 1])
        parts.append(auxiliary_losses(module))
    for name, loss in whole.items():
        assert loss.isfinite(), name
        torch.testing.assert_close(loss, torch.stack([part[name] for part in parts]).mean())


def test_a_seed_decides_every_bit(feed_forward: FeedForwardConfig) -> None:
    first, again, other = (build(feed_forward, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not first or any(not torch.equal(first[name], other[name]) for name in first)


def test_compiled_code_computes_the_same(feed_forward: FeedForwardConfig) -> None:
    """Outputs and gradients are those of the plain torch form."""
    module, found = build(feed_forward), []
    for on in (False, True):
        set_compiled(module, on)
        x_BTD = tokens().requires_grad_()
        y_BTD = module(x_BTD)
        gradients = torch.autograd.grad(y_BTD.square().sum(), [x_BTD, *module.parameters()], allow_unused=True)
        found.append([y_BTD, *(one for one in gradients if one is not None)])
    for plain, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=0, atol=3e-5 * max(1.0, plain.abs().max().item()))


def test_it_is_built_without_memory(feed_forward: FeedForwardConfig) -> None:
    """So that the parameters of a large model are counted on any machine."""
    with torch.device("meta"):
        module = feed_forward.build(width=WIDTH, multiple=MULTIPLE, layer=1, layers=LAYERS)
    assert all(parameter.is_meta for parameter in module.parameters())
    names = {name: parameter.shape for name, parameter in build(feed_forward).named_parameters()}
    assert {name: parameter.shape for name, parameter in module.named_parameters()} == names
