"""The loss of a linear layer's outputs, in chunks, is the plain one, and keeps no logits.

Shapes: N predictions, D width, V vocabulary.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from components.kernels import linear_cross_entropy as module
from components.kernels import pointwise
from components.kernels.linear_cross_entropy import linear_cross_entropy

N, D, V = 37, 16, 101
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 8)


@pytest.fixture(params=["compiled rows", "torch's rows"])
def rows(request: pytest.FixtureRequest, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses of a chunk by the compiled operator, and as on a device that has none."""
    if request.param == "torch's rows":
        monkeypatch.setattr(module, "suits", lambda *_: False)
    elif not pointwise.suits(torch.zeros(1, device=device)):
        pytest.skip("no compiled operators here")


def given(dtype: torch.dtype = torch.float32, device: torch.device = CPU) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x_ND, weight_VD = (torch.randn(n, D, generator=generator).to(device, dtype).requires_grad_() for n in (N, V))
    return x_ND, weight_VD, torch.randint(V, (N,), generator=generator).to(device)


def taken(
    form: Callable[[Tensor, Tensor, Tensor], Tensor], dtype: torch.dtype = torch.float32, device: torch.device = CPU
) -> list[Tensor]:
    """Return the loss and both gradients on the CPU, under an upstream gradient of 3."""
    x_ND, weight_VD, targets_N = given(dtype, device)
    loss = form(x_ND, weight_VD, targets_N)
    return [part.detach().cpu() for part in (loss, *torch.autograd.grad(3.0 * loss, (x_ND, weight_VD)))]


def plain(x_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """Return the mean loss as torch computes it."""
    return F.cross_entropy(F.linear(x_ND, weight_VD), targets_N)


@pytest.mark.usefixtures("rows")
def test_the_chunks_add_up_to_the_mean_loss_and_its_gradients(device: torch.device) -> None:
    expected = taken(plain, torch.float64)
    chunked = taken(lambda *it: linear_cross_entropy(*it, N), device=device)
    for found, right in zip(chunked, expected, strict=True):
        torch.testing.assert_close(found.double(), right, rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("rows")
def test_under_autocast_the_products_are_in_bfloat16_and_the_loss_in_float32(device: torch.device) -> None:
    def chunked(*operands: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return linear_cross_entropy(*operands, N)

    def unchunked(*operands: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return linear_cross_entropy(*operands, N, compiled=False)

    one, other = (taken(form, device=device) for form in (chunked, unchunked))
    for found, right in zip(one, other, strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, right, rtol=2e-2, atol=2e-3)
    torch.testing.assert_close(one[0], other[0], rtol=1e-6, atol=0)


@pytest.mark.parametrize("divisor", [1, 37, 50])
def test_the_sum_is_divided_as_asked(divisor: int) -> None:
    mean = taken(plain)
    for found, right in zip(taken(lambda *it: linear_cross_entropy(*it, divisor)), mean, strict=True):
        torch.testing.assert_close(found, right * N / divisor, rtol=1e-5, atol=1e-6)


def test_no_predictions_have_no_loss_and_no_gradient() -> None:
    x_ND, weight_VD, targets_N = given()
    loss = linear_cross_entropy(x_ND[:0], weight_VD, targets_N[:0], 5)
    assert loss.item() == 0
    loss.backward()
    assert weight_VD.grad is not None
    assert not weight_VD.grad.any()


def test_the_whole_logits_are_kept_nowhere() -> None:
    sizes: list[int] = []

    def saved(tensor: Tensor) -> Tensor:
        sizes.append(tensor.untyped_storage().nbytes())
        return tensor

    x_ND, weight_VD, targets_N = given()
    with torch.autograd.graph.saved_tensors_hooks(saved, lambda tensor: tensor):
        linear_cross_entropy(x_ND, weight_VD, targets_N, N)
        chunked = max(sizes)
        linear_cross_entropy(x_ND, weight_VD, targets_N, N, compiled=False)
    assert chunked <= 4 * V * D < 4 * N * V <= max(sizes)


def test_a_second_derivative_is_refused_and_there_without_compiled_operators() -> None:
    x_ND, weight_VD, targets_N = given()
    loss = linear_cross_entropy(x_ND, weight_VD, targets_N, N)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(loss, x_ND, create_graph=True)
    loss = linear_cross_entropy(x_ND, weight_VD, targets_N, N, compiled=False)
    (gradient,) = torch.autograd.grad(loss, x_ND, create_graph=True)
    assert torch.autograd.grad(gradient.square().sum(), weight_VD)[0].any()


def test_transforms_of_torch_see_the_plain_form() -> None:
    x_ND, weight_VD, targets_N = (tensor.detach() for tensor in given())
    gradient = torch.func.grad(lambda x: linear_cross_entropy(x, weight_VD, targets_N, N))(x_ND)
    torch.testing.assert_close(gradient, taken(plain)[1] / 3)


def test_a_target_outside_the_vocabulary_is_refused() -> None:
    x_ND, weight_VD, targets_N = given()
    with pytest.raises((IndexError, RuntimeError)):
        linear_cross_entropy(x_ND, weight_VD, targets_N + V, N)


@pytest.mark.parametrize("target", [-100, -1, V])
@pytest.mark.parametrize("compiled", [True, False])
def test_no_target_is_passed_over(target: int, compiled: bool) -> None:
    x_ND, weight_VD, targets_N = given()
    targets_N[3] = target
    with pytest.raises((IndexError, RuntimeError), match=r"(?i)target|index"):
        linear_cross_entropy(x_ND, weight_VD, targets_N, N, compiled=compiled)


def test_targets_are_as_many_as_predictions() -> None:
    x_ND, weight_VD, targets_N = given()
    with pytest.raises(ValueError, match=r"targets: got \[8\], allowed: one a prediction, \[37\]"):
        linear_cross_entropy(x_ND, weight_VD, targets_N[:8], N)


def test_float64_stays_float64(device: torch.device) -> None:
    chunked = taken(lambda *it: linear_cross_entropy(*it, N), torch.float64, device)
    for found, right in zip(chunked, taken(plain, torch.float64), strict=True):
        torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-14)


def test_a_weight_in_bfloat16_gains_from_each_chunk_what_the_plain_form_gives(device: torch.device) -> None:
    expected = taken(plain, torch.float64)[2]
    errors = []
    for compiled in (True, False):
        found = taken(lambda *it, c=compiled: linear_cross_entropy(*it, N, compiled=c), torch.bfloat16, device)[2]
        errors.append((found.double() - expected).norm().item())
    assert errors[0] < 1.2 * errors[1]


def test_float16_leaves_the_scaling_of_small_gradients_to_the_caller() -> None:
    x_ND, weight_VD, targets_N = given(torch.float16)
    loss = linear_cross_entropy(x_ND, weight_VD, targets_N, 10**9)
    (gradient,) = torch.autograd.grad(loss * 1e9, x_ND)
    assert gradient.any()


@pytest.mark.parametrize("frozen", [0, 1])
def test_what_is_frozen_gets_no_gradient(frozen: int) -> None:
    operands = given()
    operands[frozen].requires_grad_(False)
    linear_cross_entropy(*operands, N).backward()
    assert operands[frozen].grad is None
    torch.testing.assert_close(operands[1 - frozen].grad, taken(plain)[2 - frozen] / 3, rtol=1e-5, atol=1e-6)
