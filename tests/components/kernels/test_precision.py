"""The compiled forms lose no more digits than torch's float32: very different rows, large offsets.

Errors are taken row by row against float64, so that a small row is not excused by a large one
beside it. Shapes: B batch, M heads, T tokens, d head width; N predictions, V classes.
"""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.kernels import pointwise
from components.kernels.base import MapOps
from components.kernels.cpu.fused import Fused
from components.kernels.eager import Eager
from components.score_ops import KeyQuery
from components.score_ops.key_query import Mask
from mta_lab.testing import implementations
from tests.components.kernels.cases import Attend

BATCH, HEADS, TOKENS, WIDTH = 8, 2, 40, 16
EPS = torch.finfo(torch.float32).eps
NOTHING = 1e-13
"""of the largest value: what a saturated softmax leaves,
exp(-50), is known to few digits by anybody"""


@pytest.fixture(autouse=True, scope="module")
def built() -> None:
    implementations.require("fused")


def relative_errors(found: Tensor, exact: Tensor) -> Tensor:
    """Each row's largest error, of the row's largest value."""
    size = exact.abs().amax(-1)
    return ((found.double() - exact).abs().amax(-1) / (size + NOTHING / EPS * size.max())).flatten()


def assert_rows_as_precise(actual: Tensor, torchs: Tensor, exact: Tensor, what: str) -> None:
    """The median, 90th and 99th of 100 rows' errors are at most four times torch's in float32.

    In single rows terms cancel until no digit is left, where one or the other is right by chance:
    the worst row of one may have ten times the error of the other's.
    """
    error, torchs_error = (relative_errors(found, exact) for found in (actual, torchs))
    for share, times in ((0.5, 4), (0.9, 4), (0.99, 4), (1.0, 10)):
        mine, torchs_own = error.quantile(share).item(), torchs_error.quantile(share).item()
        assert mine <= times * torchs_own, f"{what}, {share:.0%} of rows: {mine:.1e}, torch {torchs_own:.1e}"


def assert_as_precise(actual: Tensor, torchs: Tensor, exact: Tensor, what: str, *, ulps: int, times: int = 4) -> None:
    """Each row's error is at most so many times torch's, plus a few units in the last place."""
    error, torchs_error = (relative_errors(found, exact) for found in (actual, torchs))
    excess, row = (error - times * torchs_error).max(0)
    assert excess <= ulps * EPS, f"{what}, row {row}: {error[row]:.1e}, torch {torchs_error[row]:.1e}"


def kernel(start: str) -> Tensor:
    """A kernel at its start, near it, or anywhere."""
    identity_MAB = torch.zeros(HEADS, 6, 11)
    identity_MAB[:, 0, 5] = 1.0
    noise_MAB = torch.randn(HEADS, 6, 11, generator=torch.Generator().manual_seed(7))
    return {"identity": identity_MAB, "near": identity_MAB + 1e-4 * noise_MAB, "random": 0.2 * noise_MAB}[start]


@settings(max_examples=40, deadline=None, derandomize=True)  # what is near a bound is not left to chance
@given(
    start=st.sampled_from(["identity", "near", "random"]),
    mask=st.sampled_from(["double", "exact"]),
    before_softmax=st.booleans(),
    scaled=st.sampled_from(["query", "key", "value", "upstream"]),
    place=st.integers(0, TOKENS - 1),
    exponent=st.floats(-3, 4),
)
def test_a_row_beside_a_much_larger_one_keeps_its_digits(
    start: str, mask: Mask, before_softmax: bool, scaled: str, place: int, exponent: float
) -> None:
    generator = torch.Generator().manual_seed(6)
    drawn = {
        name: torch.randn(BATCH, HEADS, TOKENS, WIDTH, generator=generator)
        for name in ("query", "key", "value", "upstream")
    }
    drawn[scaled][:, :, place] *= 10.0**exponent

    def outcome(attend: Attend, dtype: torch.dtype) -> dict[str, Tensor]:
        op = KeyQuery(mask=mask).build(heads=HEADS).to(dtype)
        op.load_state_dict({"kernel": kernel(start)})
        query, key, value, upstream = (x.to(dtype).requires_grad_() for x in drawn.values())
        ops = MapOps(pre=[op]) if before_softmax else MapOps(post=[op])
        y = attend(query, key, value, ops, dropout=None)
        gradients = torch.autograd.grad(y, (query, key, value, *op.parameters()), upstream)
        return dict(zip(("y", "query", "key", "value", "kernel"), (y.detach(), *gradients), strict=True))

    exact = outcome(Eager().attend, torch.float64)
    torchs, actual = outcome(Eager().attend, torch.float32), outcome(Fused().attend, torch.float32)
    saturated = (
        scaled in ("query", "key") and exponent > 0.5
    )  # little is left of a difference of nearly equal gradients
    for name, found in actual.items():
        if name in ("y", "query"):
            assert_rows_as_precise(found, torchs[name], exact[name], name)
        else:  # sums over queries, small and large
            compared = (x.flatten()[None] for x in (found, torchs[name], exact[name]))
            assert_as_precise(*compared, name, ulps=2, times=10 if saturated else 4)


@pytest.mark.parametrize("offset", [0.0, 1e2, -1e4, 1e6])
@pytest.mark.parametrize("spread", [0.1, 3.0, 100.0])
def test_a_common_offset_of_the_logits_costs_no_digits(offset: float, spread: float) -> None:
    generator = torch.Generator().manual_seed(3)
    logits_NV = torch.randn(40, 300, generator=generator) * spread + offset
    targets_N = torch.randint(300, (40,), generator=generator)
    upstream_N = torch.randn(40, generator=generator)

    def outcome(loss: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        given = logits_NV.to(dtype).requires_grad_()
        losses_N = loss(given, targets_N)
        return losses_N.detach()[:, None], torch.autograd.grad(losses_N, given, upstream_N.to(dtype))[0]

    torchs = partial(F.cross_entropy, reduction="none")
    for name, *found in zip(
        ("loss", "gradient"),
        outcome(pointwise.cross_entropy, torch.float32),
        outcome(torchs, torch.float32),
        outcome(torchs, torch.float64),
        strict=True,
    ):
        assert_as_precise(*found, name, ulps=1)
