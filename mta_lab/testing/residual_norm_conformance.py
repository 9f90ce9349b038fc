"""The contract that all residual norms keep, shipped or yours; see `conformance`.

Shapes: B batch, T tokens, D model width.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from components import ComponentError, set_compiled
from components.initialise import initialise
from components.residual_norms import KindConfig, ResidualNormConfig
from mta_lab.testing.subjects import BATCH, LAYERS, TOKENS, WIDTH, under_test


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over all residual norms under test, and over each kind where there are two."""
    variants = under_test()[0]
    found: list[ResidualNormConfig] = [one() for one in variants if issubclass(one, ResidualNormConfig)]
    found += [one(norm="layer") for one in variants if issubclass(one, KindConfig)]
    if "norms" in metafunc.fixturenames:
        metafunc.parametrize("norms", found, ids=lambda one: f"{one.name}-{getattr(one, 'norm', 'own')}")


def build(norms: ResidualNormConfig, scale: float = 1.0, layer: int = 1) -> nn.Module:
    """Return the norms of a sublayer after some imagined training."""
    module = norms.build(width=WIDTH, scale=scale, layer=layer, layers=LAYERS)
    initialise(module, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return module


def calls(norms: ResidualNormConfig, layer: int = 1) -> list[tuple[nn.Module, Callable[[Tensor], Tensor]]]:
    """Return the norms of a sublayer and that behind the last block, each with how it is used."""
    norm, final = build(norms, layer=layer), norms.final(width=WIDTH)
    initialise(final, seed=0)
    return [(norm, lambda x_BTD: norms.join(norm, x_BTD, torch.sin)), (final, final)]


def tokens(dtype: torch.dtype = torch.float32) -> Tensor:
    """Return random input [B, T, D], the same at each call."""
    return torch.randn(BATCH, TOKENS, WIDTH, generator=torch.Generator().manual_seed(2)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_the_output_is_finite_and_shaped_as_the_input(norms: ResidualNormConfig, dtype: torch.dtype) -> None:
    for layer in range(1, LAYERS + 1):
        for module, call in calls(norms, layer):
            module.to(dtype)
            y_BTD = call(tokens(dtype))
            assert (y_BTD.shape, y_BTD.dtype) == ((BATCH, TOKENS, WIDTH), dtype)
            assert y_BTD.isfinite().all()


def test_the_sublayer_runs_once_and_its_output_counts(norms: ResidualNormConfig) -> None:
    """Attention that reads on with a cache would otherwise hold its tokens twice."""
    norm, given = build(norms), list[Tensor]()

    def sublayer(x_BTD: Tensor) -> Tensor:
        given.append(x_BTD)
        return x_BTD.sin()

    found = norms.join(norm, tokens(), sublayer)
    assert len(given) == 1
    assert not torch.allclose(found, norms.join(norm, tokens(), torch.cos))


def test_every_parameter_receives_a_finite_gradient(norms: ResidualNormConfig) -> None:
    for module, call in calls(norms):
        if not [*module.parameters()]:
            continue
        named, total = dict(module.named_parameters()), (call(tokens()) * tokens().cos()).sum()
        gradients = torch.autograd.grad(total, [*named.values()], allow_unused=True)
        for name, gradient in zip(named, gradients, strict=True):
            assert gradient is not None, f"{name} is not part of the computation"
            assert gradient.isfinite().all(), name
            assert gradient.any(), f"{name} receives no gradient"


def test_each_token_is_read_alone(norms: ResidualNormConfig) -> None:
    """No token sees another, earlier or later, of its sequence or of another."""
    x_BTD = tokens(torch.float64)
    for module, call in calls(norms):
        module.double()
        one_by_one = [call(x_BTD[row : row + 1, t : t + 1]) for row in range(BATCH) for t in range(TOKENS)]
        alone_BTD = torch.cat(one_by_one, dim=1).view_as(x_BTD)
        torch.testing.assert_close(call(x_BTD), alone_BTD, rtol=0, atol=1e-12)


def test_a_scale_of_the_norm_before_is_kept_or_refused(norms: ResidualNormConfig) -> None:
    try:
        scaled = build(norms, scale=0.5)
    except ComponentError:
        return
    found, usual = (norms.join(norm, tokens(), torch.sin) for norm in (scaled, build(norms)))
    assert not torch.allclose(found, usual)


def test_compiled_code_computes_the_same(norms: ResidualNormConfig) -> None:
    """Outputs and gradients are those of the plain torch form."""
    for module, call in calls(norms):
        found = []
        for on in (False, True):
            set_compiled(module, on)
            x_BTD = tokens().requires_grad_()
            y_BTD = call(x_BTD)
            found.append([y_BTD, *torch.autograd.grad((y_BTD * tokens()).sum(), [x_BTD, *module.parameters()])])
        for plain, compiled in zip(*found, strict=True):
            torch.testing.assert_close(compiled, plain, rtol=0, atol=3e-5 * max(1.0, plain.abs().max().item()))


def test_it_is_built_without_memory(norms: ResidualNormConfig) -> None:
    """So that the parameters of a large model are counted on any machine."""
    with torch.device("meta"):
        module = norms.build(width=WIDTH, scale=1.0, layer=1, layers=LAYERS)
    assert all(parameter.is_meta for parameter in module.parameters())
    names = {name: parameter.shape for name, parameter in build(norms).named_parameters()}
    assert {name: parameter.shape for name, parameter in module.named_parameters()} == names
