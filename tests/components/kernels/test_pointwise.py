"""The compiled operations on rows against torch's in float64: values, gradients, refusals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.attention import rotary_table
from components.kernels import pointwise
from components.norms.rms import NORM_EPS
from mta_lab.testing import implementations


@dataclass(frozen=True)
class Operation:
    """One of `rows`, and operands for it of `count` rows of `width` values."""

    name: str
    call: Callable[..., Tensor]
    draw: Callable[[int, int], Sequence[Tensor]]


@pytest.fixture(autouse=True, scope="module")
def built() -> None:
    implementations.require("fused")


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def heads(count: int, width: int) -> Sequence[Tensor]:
    """Three heads side by side; as many positions as rows, of one sequence."""
    return normal(1, count, 6 * width), rotary_table(count, 2 * width, theta=100.0)


def predictions(count: int, width: int) -> Sequence[Tensor]:
    return 4.0 * normal(count, width), torch.randint(width, (count,), generator=torch.Generator().manual_seed(count))


OPERATIONS = [
    Operation("rms_norm", lambda x, w: pointwise.rms_norm(x, w, NORM_EPS), lambda n, d: (normal(n, d), normal(d))),
    Operation(
        "gated_rms_norm",
        lambda x, w, gate, bias: pointwise.gated_rms_norm(x, w, gate, bias, NORM_EPS),
        lambda n, d: (normal(n, d), normal(d), normal(1, d + 1)[:, 1:].contiguous(), normal(1)),
    ),
    Operation("swiglu", pointwise.swiglu, lambda n, d: (3.0 * normal(n, d), normal(n + 1, d)[1:])),
    Operation("rotate", pointwise.rotate, heads),
    Operation("cross_entropy", pointwise.cross_entropy, predictions),
]
for_each = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def leaves(operation: Operation, operands: Sequence[Tensor]) -> list[Tensor]:
    """Return the operands that can have a gradient: neither targets nor the table of turns."""
    found = [x.detach() for x in operands]
    for x in found[:1] if operation.name == "rotate" else found:
        x.requires_grad_(x.is_floating_point())
    return found


def outcome(operation: Operation, operands: Sequence[Tensor]) -> list[Tensor]:
    """The value and all gradients."""
    given = leaves(operation, operands)
    value = operation.call(*given)
    direction = normal(*value.shape).to(value.dtype)
    return [value.detach(), *torch.autograd.grad(value, [x for x in given if x.requires_grad], direction)]


def compare(operation: Operation, operands: Sequence[Tensor]) -> None:
    """Compiled float32 is as near to float64 as torch's float32 in rows of 300 (2e-5)."""
    exact = [x.double() if x.is_floating_point() else x for x in operands]
    assert pointwise.suits(operands[0])
    assert not pointwise.suits(exact[0])
    pairs = zip(outcome(operation, operands), outcome(operation, exact), strict=True)
    for number, (actual, expected) in enumerate(pairs):
        assert actual.dtype == torch.float32
        summed = 1 if number < 2 else len(operands[0])  # rows, in a gradient of a parameter
        scale = max(1.0, expected.abs().max().item()) * summed**0.5
        torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=3e-5 * scale)


@for_each
@pytest.mark.parametrize("width", [1, 5, 16, 24, 64, 129])
@pytest.mark.parametrize("count", [1, 3, 33, 2100])  # of 2100 rows the wider make several chunks
def test_values_and_gradients_are_torchs(operation: Operation, count: int, width: int) -> None:
    compare(operation, operation.draw(count, width))


@for_each
@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 200), width=st.integers(1, 300))
def test_any_shape(operation: Operation, count: int, width: int) -> None:
    compare(operation, operation.draw(count, width))


@for_each
def test_bits_do_not_depend_on_threads(operation: Operation, threads: Callable[[int], None]) -> None:
    operands, found = operation.draw(3000, 48), []
    for count in (1, 2, 3):
        threads(count)
        found.append(outcome(operation, operands))
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


@for_each
def test_operands_may_lie_anyhow_in_memory(operation: Operation) -> None:
    first, *others = operation.draw(20, 12)
    strided = torch.stack((first, first), dim=-1)[..., 0]
    assert not strided.is_contiguous()
    for actual, expected in zip(
        outcome(operation, (strided, *others)), outcome(operation, (first, *others)), strict=True
    ):
        assert torch.equal(actual, expected)


@for_each
def test_torch_compile_sees_one_operator(operation: Operation) -> None:
    """Shapes of tensors without values, gradients under tracing, no hidden aliases."""
    given: tuple[Tensor | float | None, ...] = tuple(leaves(operation, operation.draw(6, 10)))
    if "rms_norm" in operation.name:
        given = (*given, *[None] * (4 - len(given)), NORM_EPS)
    torch.library.opcheck(getattr(torch.ops.mta_lab, operation.name.removeprefix("gated_")).default, given)


def test_torch_compile_sees_the_order_of_rows() -> None:
    """A norm of heads in memory as [B, T, M, d] leaves them so, with values and without."""
    x_BMTd = normal(2, 5, 3, 8).transpose(1, 2).requires_grad_()
    torch.library.opcheck(torch.ops.mta_lab.rms_norm.default, (x_BMTd, normal(8), None, None, NORM_EPS))


@for_each
def test_there_is_no_second_derivative(operation: Operation) -> None:
    first, *others = operation.draw(4, 6)
    first.requires_grad_()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(operation.call(first, *others).sum(), first, create_graph=True)


@for_each
def test_nan_stays_nan(operation: Operation) -> None:
    """A run that diverges is told from one that does not."""
    first, *others = operation.draw(4, 40)
    first.view(-1)[17] = torch.nan
    assert operation.call(first, *others).isnan().any()


@for_each
def test_no_rows_are_no_error(operation: Operation) -> None:
    value, *gradients = outcome(operation, operation.draw(0, 8))
    assert value.numel() == 0
    assert not any(gradient.any() for gradient in gradients)


@for_each
@pytest.mark.parametrize("count", [0, 3])
def test_rows_without_values_are_no_error(operation: Operation, count: int) -> None:
    if operation.name == "cross_entropy" and count:
        with pytest.raises(IndexError, match="target 0"):
            pointwise.cross_entropy(torch.zeros(count, 0), torch.zeros(count, dtype=torch.long))
        return
    operands = operation.draw(count, 1)
    bare = [x[..., :0] if x.is_floating_point() else x for x in operands]
    if operation.name == "gated_rms_norm":
        bare[-1] = operands[-1]  # the bias, one value whatever the width
    assert outcome(operation, bare)[0].numel() == 0


def test_large_logits_do_not_overflow() -> None:
    logits = torch.tensor([[1e4, 0.0, -1e4], [-300.0, 300.0, 299.0]], requires_grad=True)
    losses = pointwise.cross_entropy(logits, torch.tensor([1, 2]))
    expected = F.cross_entropy(logits.double(), torch.tensor([1, 2]), reduction="none")
    torch.testing.assert_close(losses.double(), expected)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    torch.testing.assert_close(gradient.sum(-1), torch.zeros(2), rtol=0, atol=1e-4)


def test_large_gates_do_not_overflow() -> None:
    a = torch.tensor([-1e4, -90.0, 0.0, 90.0, 1e4])
    torch.testing.assert_close(pointwise.swiglu(a, torch.ones(5)), F.silu(a))


@pytest.mark.parametrize("target", [-1, 8])
def test_a_target_outside_the_vocabulary_is_an_error(target: int) -> None:
    with pytest.raises(IndexError, match=f"target {target}, allowed: 0 to 7"):
        pointwise.cross_entropy(normal(3, 8), torch.tensor([0, target, 1]))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: pointwise.rms_norm(normal(3, 8), normal(7), NORM_EPS), "rows of 8 values"),
        (lambda: pointwise.swiglu(normal(3, 8), normal(3, 7)), "differ"),
        (lambda: pointwise.rotate(normal(2, 3, 8), rotary_table(4, 4, theta=10.0)), "cannot be turned"),
        (lambda: pointwise.rotate(normal(2, 4, 8), rotary_table(4, 6, theta=10.0)), "cannot be turned"),
        (lambda: pointwise.rotate(normal(2, 4, 8), torch.zeros(4, 2, 0)), "cannot be turned"),
        (lambda: pointwise.cross_entropy(normal(3, 8), torch.tensor([0, 1])), "targets of"),
    ],
)
def test_operands_that_do_not_fit_are_refused(call: Callable[[], Tensor], says: str) -> None:
    with pytest.raises(RuntimeError, match=says):
        call()
