"""The compiled forms lose no more digits than torch's own in float32: rows of very different size, large offsets.

Errors are taken row by row against float64, so that a small row is not excused by a large one beside it.
Shapes: B batch, M heads, T tokens, d head width; N predictions, V classes.
"""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.kernels import eager, fused, rows
from components.score_ops import KeyQuery
from components.score_ops.key_query import Mask
from tests.components import implementations
from tests.components.kernels.cases import Attend

HEADS, TOKENS, WIDTH = 2, 40, 16
ULPS = 8 * torch.finfo(torch.float32).eps
"""of a row's largest value: what sums in another order may differ by where torch's happen to be exact"""
NOTHING = 1e-13
"""of the largest value: what a saturated softmax leaves, exp(-50), is known to few digits by anybody"""


@pytest.fixture(autouse=True, scope="module")
def built() -> None:
    implementations.require("fused")


def assert_as_precise(actual: Tensor, torchs: Tensor, exact: Tensor, what: str) -> None:
    """Each row's largest error is at most four times that of torch's in float32."""
    error, torchs_error = ((found.double() - exact).abs().amax(-1) for found in (actual, torchs))
    size = exact.abs().amax(-1)
    allowed = 4 * (torchs_error + ULPS * size + NOTHING * size.max())
    worst = (error / allowed).argmax()
    assert (error <= allowed).all(), f"{what}: {error.flatten()[worst]:.1e}, torch {torchs_error.flatten()[worst]:.1e}"


def kernel(start: str) -> Tensor:
    """A kernel at its start, near it, or anywhere."""
    identity_MAB = torch.zeros(HEADS, 6, 11)
    identity_MAB[:, 0, 5] = 1.0
    noise_MAB = torch.randn(HEADS, 6, 11, generator=torch.Generator().manual_seed(7))
    return {"identity": identity_MAB, "near": identity_MAB + 1e-4 * noise_MAB, "random": 0.2 * noise_MAB}[start]


@settings(max_examples=60, deadline=None)
@given(
    start=st.sampled_from(["identity", "near", "random"]),
    mask=st.sampled_from(["double", "exact"]),
    before_softmax=st.booleans(),
    scaled=st.sampled_from(["query", "value", "upstream"]),
    place=st.integers(0, TOKENS - 1),
    exponent=st.floats(-3, 4),
)
def test_a_row_beside_a_much_larger_one_keeps_its_digits(
    start: str, mask: Mask, before_softmax: bool, scaled: str, place: int, exponent: float
) -> None:
    generator = torch.Generator().manual_seed(6)
    drawn = {
        name: torch.randn(1, HEADS, TOKENS, WIDTH, generator=generator)
        for name in ("query", "key", "value", "upstream")
    }
    drawn[scaled][:, :, place] *= 10.0**exponent

    def outcome(attend: Attend, dtype: torch.dtype) -> dict[str, Tensor]:
        op = KeyQuery(mask=mask).build(heads=HEADS).to(dtype)
        op.load_state_dict({"kernel": kernel(start)})
        query, key, value, upstream = (x.to(dtype).requires_grad_() for x in drawn.values())
        places = ([op], []) if before_softmax else ([], [op])
        y = attend(query, key, value, *places, dropout=0.0)
        gradients = torch.autograd.grad(y, (query, key, value, *op.parameters()), upstream)
        return dict(zip(("y", "query", "key", "value", "kernel"), (y.detach(), *gradients), strict=True))

    exact = outcome(eager.attend, torch.float64)
    torchs, actual = outcome(eager.attend, torch.float32), outcome(fused.attend, torch.float32)
    for name, found in actual.items():
        rows_alone = name in ("y", "query")  # the others are sums over queries, small and large
        pairs = [x if rows_alone else x.flatten() for x in (found, torchs[name], exact[name])]
        assert_as_precise(*pairs, name)


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
        outcome(rows.cross_entropy, torch.float32),
        outcome(torchs, torch.float32),
        outcome(torchs, torch.float64),
        strict=True,
    ):
        assert_as_precise(*found, name)
