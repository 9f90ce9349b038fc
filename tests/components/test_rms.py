"""RMSNorm and the norms made of it: dtypes, layouts in memory, autocast."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.kernels import pointwise
from components.norms import Gate, Plain
from components.norms.rms import NORM_EPS, RMSNorm, rms_norm


def draw(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64).to(dtype)


def test_a_row_of_zeros_has_a_finite_gradient() -> None:
    x = torch.zeros(2, 4, requires_grad=True)
    rms_norm(x, torch.ones(4)).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.full((2, 4), NORM_EPS**-0.5))


@pytest.mark.parametrize(
    ("x_dtype", "weight_dtype", "expected"),
    [
        (torch.bfloat16, torch.bfloat16, torch.bfloat16),
        (torch.bfloat16, torch.float32, torch.float32),  # what autocast hands to a norm
        (torch.float32, torch.float32, torch.float32),
    ],
)
def test_it_computes_in_float32_at_least(
    x_dtype: torch.dtype, weight_dtype: torch.dtype, expected: torch.dtype
) -> None:
    x, weight = draw(5, 16, dtype=x_dtype).requires_grad_(), draw(16, dtype=weight_dtype).requires_grad_()
    y = rms_norm(x, weight)
    exact = F.rms_norm(x.double(), (16,), weight.double(), NORM_EPS)
    assert y.dtype == expected
    torch.testing.assert_close(y, exact.to(expected), rtol=torch.finfo(expected).eps, atol=1e-6)
    y.sum().backward()
    assert x.grad is not None
    assert weight.grad is not None
    assert (x.grad.dtype, weight.grad.dtype) == (x_dtype, weight_dtype)


def test_the_module_is_a_norm_of_torchs() -> None:
    """Code that asks for torch's class, as initialisation does, counts ours."""
    module = RMSNorm(8)
    assert isinstance(module, torch.nn.RMSNorm)
    assert module.eps == NORM_EPS
    assert list(module.state_dict()) == ["weight"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("norm", [Plain(), Gate()])
def test_heads_may_lie_in_memory_in_either_order(norm: Plain | Gate, dtype: torch.dtype) -> None:
    """[B, M, T, d] may be a view of [B, T, M, d]: equal values and gradients, in one order."""
    module, y_BMTd = norm.build(width=8, model_width=32, layer=2).to(dtype), draw(2, 3, 5, 8, dtype=dtype)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    view_BMTd = y_BMTd.transpose(1, 2).contiguous().transpose(1, 2)
    assert not view_BMTd.is_contiguous()
    outputs = []
    for given in (y_BMTd, view_BMTd):
        module.zero_grad()
        y = given.detach().requires_grad_()
        normed = module(y)
        # The output projection reads what the fused kernel wrote without a copy.
        assert normed.stride() == y.stride() or not pointwise.suits(y)
        (normed * draw(2, 3, 5, 8, dtype=dtype)).sum().backward()
        outputs.append([normed, y.grad, *(parameter.grad for parameter in module.parameters())])
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-12)


def test_a_scalar_gate_stays_float32_under_autocast() -> None:
    """As the other norms do: a row with a gate has no more rounding than one without."""
    gate = Gate().build(width=64, model_width=256, layer=1)
    nn.init.normal_(gate.gate.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    y_BMTd = torch.randn(2, 3, 5, 64, generator=torch.Generator().manual_seed(2))
    with torch.autocast("cpu", torch.bfloat16):
        under = gate(y_BMTd)
    assert torch.equal(under, gate(y_BMTd))
