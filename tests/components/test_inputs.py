"""A layer takes tokens and a rotary table that fit it, and refuses others in one line.

Shapes: B batch, T tokens, D model width, d head width.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from components import ComponentError, set_compiled
from components.attention import MultiToken, Softmax, rotary_table
from components.kernels import pointwise
from mta_lab.testing.subjects import HEADS, SUBJECTS, WIDTH, Subject

BATCH, TOKENS, HEAD_WIDTH = 2, 6, WIDTH // HEADS
LAYERS = [subject for subject in SUBJECTS if subject.variant.family == "attention"]
every_layer = pytest.mark.parametrize("subject", LAYERS, ids=str)


def tokens(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape or (BATCH, TOKENS, WIDTH), generator=torch.Generator().manual_seed(1)).to(dtype)


def table(count: int = TOKENS, width: int = HEAD_WIDTH) -> Tensor:
    return rotary_table(count, width, theta=100.0)


def refused(call: Callable[[], object]) -> str:
    """Return what is said, in one line."""
    with pytest.raises(ComponentError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


TOKENS_THAT_DO_NOT_FIT: dict[str, tuple[Any, str]] = {
    "two dimensions": (tokens(TOKENS, WIDTH), "x: got float32 [6, 24], allowed: a tensor [batch, tokens, 24]"),
    "four": (tokens(1, BATCH, TOKENS, WIDTH), "x: got float32 [1, 2, 6, 24], allowed: a tensor [batch, tokens, 24]"),
    "another width": (tokens(BATCH, TOKENS, 2 * WIDTH), "x: got float32 [2, 6, 48], allowed: a tensor [batch, to"),
    "no width": (tokens(BATCH, TOKENS, 1), "x: got float32 [2, 6, 1], allowed: a tensor [batch, tokens, 24]"),
    "a list": ([[[0.0] * WIDTH]], "x: got a list, allowed: a tensor [batch, tokens, 24]"),
    "nothing": (None, "x: got a NoneType, allowed: a tensor [batch, tokens, 24]"),
    "float64": (tokens(dtype=torch.float64), "x: got float64 [2, 6, 24], allowed: float32, as the weights are"),
    "bfloat16": (tokens(dtype=torch.bfloat16), "x: got bfloat16 [2, 6, 24], allowed: float32, as the weights are"),
    "token numbers": (tokens().long(), "x: got int64 [2, 6, 24], allowed: float32, as the weights are"),
    "complex": (tokens(dtype=torch.complex64), "x: got complex64 [2, 6, 24], allowed: float32, as the weights are"),
}
FITS = "float32 [6, 2, 3], like rotary_table(6, 6, theta)"
TABLES_THAT_DO_NOT_FIT: dict[str, tuple[Any, str]] = {
    "a third of the heads' width": (table(width=2), f"rotary: got float32 [6, 2, 1], allowed: {FITS}"),
    "twice the heads' width": (table(width=12), f"rotary: got float32 [6, 2, 6], allowed: {FITS}"),
    "the model's width": (table(width=WIDTH), f"rotary: got float32 [6, 2, 12], allowed: {FITS}"),
    "more positions": (table(9), f"rotary: got float32 [9, 2, 3], allowed: {FITS}"),
    "one position": (table(1), f"rotary: got float32 [1, 2, 3], allowed: {FITS}"),
    "cosines alone": (table()[:, 0], f"rotary: got float32 [6, 3], allowed: {FITS}"),
    "a batch": (table()[None], f"rotary: got float32 [1, 6, 2, 3], allowed: {FITS}"),
    "cosines and sines": (table().unbind(1), f"rotary: got a tuple, allowed: {FITS}"),
    "theta": (100.0, f"rotary: got a float, allowed: {FITS}"),
    "rounded": (table().bfloat16(), f"rotary: got bfloat16 [6, 2, 3], allowed: {FITS}"),
    "whole numbers": (table().long(), f"rotary: got int64 [6, 2, 3], allowed: {FITS}"),
    "float64 beside float32": (table().double(), f"rotary: got float64 [6, 2, 3], allowed: {FITS}"),
}


@pytest.mark.parametrize("how", TOKENS_THAT_DO_NOT_FIT)
@every_layer
def test_tokens_that_do_not_fit_are_refused(subject: Subject, how: str) -> None:
    x, says = TOKENS_THAT_DO_NOT_FIT[how]
    for rotary in (None, table()):
        assert refused(lambda rotary=rotary: subject.build()(x, rotary)).startswith(says)


@pytest.mark.parametrize("how", TABLES_THAT_DO_NOT_FIT)
@every_layer
def test_a_rotary_table_that_does_not_fit_is_refused(subject: Subject, how: str) -> None:
    rotary, says = TABLES_THAT_DO_NOT_FIT[how]
    for layer in (subject.build(), set_compiled(subject.build(), False)):
        assert refused(lambda layer=layer: layer(tokens(), rotary)) == says


@every_layer
def test_what_fits_in_other_dtypes_is_taken(subject: Subject) -> None:
    """A table in float32 beside any tokens; in float64 beside float64."""
    exact = subject.build().double()
    x_BTD = tokens(dtype=torch.float64)
    torch.testing.assert_close(exact(x_BTD, table()), exact(x_BTD, table().double()), rtol=0, atol=1e-12)
    for dtype in (torch.bfloat16, torch.float16):
        assert subject.build().to(dtype)(tokens(dtype=dtype), table()).isfinite().all()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for dtype in (torch.float32, torch.bfloat16):
            assert subject.build()(tokens(dtype=dtype), table()).dtype == torch.bfloat16
        assert refused(lambda: subject.build()(tokens(dtype=torch.float64))).startswith("x: got float64")


def test_heads_of_an_odd_width_are_not_turned() -> None:
    layer = Softmax().build(width=12, heads=4, layer=1, layers=1)
    assert layer(tokens(BATCH, TOKENS, 12)).shape == (BATCH, TOKENS, 12)
    for angles in (1, 2, 3, 6):
        says = refused(lambda angles=angles: layer(tokens(BATCH, TOKENS, 12), torch.ones(TOKENS, 2, angles)))
        assert says == f"rotary: got float32 [6, 2, {angles}], allowed: None, as the heads' width 3 is odd"


@every_layer
def test_angles_that_learn_have_the_gradient_of_the_reference(subject: Subject) -> None:
    """Beside compiled operators, too, which have no gradient of a table."""

    def gradients(layer: nn.Module, dtype: torch.dtype) -> tuple[Tensor, ...]:
        x_BTD, angles = tokens(dtype=dtype).requires_grad_(), table().to(dtype).requires_grad_()
        return torch.autograd.grad(layer(x_BTD, angles).square().sum(), (x_BTD, angles))

    expected = gradients(set_compiled(subject.build_random(), False).double(), torch.float64)
    for found, right in zip(gradients(subject.build_random(), torch.float32), expected, strict=True):
        assert right.abs().max() > 1e-3
        torch.testing.assert_close(found.double(), right, rtol=1e-4, atol=1e-4 * right.abs().max().item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 2, 4), (5, 2, 4), (6, 1, 4), (6, 2, 5), (6, 2, 0), (6, 8)])
def test_rows_are_turned_by_a_table_of_their_own_positions_alone(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    with pytest.raises(RuntimeError, match="cannot be turned by"):
        pointwise.rotate(torch.ones(1, 6, 16, dtype=dtype), torch.ones(shape, dtype=dtype))


class Wider(nn.Linear):
    """A projection of a user's, which takes another dtype than its weight's."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.to(self.weight.dtype))


@pytest.mark.parametrize("how", ["another class", "a hook"])
def test_a_projection_that_was_replaced_says_itself_what_it_takes(how: str) -> None:
    layer: Any = MultiToken().build(width=WIDTH, heads=HEADS, layer=3, layers=4)
    x_BTD = tokens(dtype=torch.float64)
    expected = layer(x_BTD.float())
    for name in ("query", "key", "value"):
        if how == "a hook":
            getattr(layer, name).register_forward_pre_hook(lambda _, given: (given[0].float(),))
        else:
            wider = Wider(WIDTH, WIDTH, bias=False)
            wider.load_state_dict(getattr(layer, name).state_dict())
            setattr(layer, name, wider)
    torch.testing.assert_close(layer(x_BTD), expected)


@pytest.mark.parametrize("impl", ["eager", "streaming", "sdpa"])
def test_an_implementation_that_is_set_after_a_forward_computes_the_next(impl: Any) -> None:
    layer: Any = Softmax().build(width=WIDTH, heads=HEADS, layer=1, layers=1)
    expected = layer(tokens(), table())
    layer.impl = impl
    torch.testing.assert_close(layer(tokens(), table()), expected)
    assert layer.ran.name == impl
    layer.impl = "faster"
    assert refused(lambda: layer(tokens(), table())).startswith("impl: got 'faster', allowed: 'auto', ")
