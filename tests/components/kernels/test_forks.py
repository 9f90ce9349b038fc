"""Operators after a fork: in a child, the parent, and a child's child; threads had run before."""

import os
import signal
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from components.kernels import pointwise
from components.kernels.base import MapOps
from components.kernels.choice import IMPLEMENTATIONS
from components.score_ops import HeadMixing, KeyQuery
from mta_lab.testing import implementations

PATIENCE = 60  # seconds until a child that hangs is ended


def attend(name: str) -> list[Tensor]:
    """Return output and gradients under both operations, at a size that threads share."""
    torch.manual_seed(0)
    operands = [torch.randn(2, 4, 96, 16, requires_grad=True) for _ in range(3)]
    ops = [KeyQuery(kernel=(3, 5)).build(heads=4), HeadMixing().build(heads=4)]
    y_BMTd = IMPLEMENTATIONS[name].attend(*operands, MapOps(ops), dropout=None)
    return [y_BMTd, *torch.autograd.grad(y_BMTd.square().sum(), operands)]


def normed() -> list[Tensor]:
    torch.manual_seed(0)
    x = torch.randn(512, 256, requires_grad=True)
    y = pointwise.swiglu(pointwise.rms_norm(x, torch.ones(256), 1e-5), x)
    return [y, *torch.autograd.grad(y.square().sum(), [x])]


def torchs_own() -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.relu(torch.randn(600_000)), torch.randn(256, 256) @ torch.randn(256, 256)]


WORK: dict[str, Callable[[], list[Tensor]]] = {
    **{name: lambda name=name: attend(name) for name in implementations.IMPLEMENTATIONS},  # type: ignore[misc]
    "row operators": normed,
    "torch's own": torchs_own,
}


def comes_out_equal_in_a_child(work: Callable[[], list[Tensor]], expected: list[Tensor], deeper: int) -> bool:
    """Compute in a forked child, and in a child of that one: processes that hang are ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    try:
        signal.alarm(PATIENCE)
        equal = all(torch.equal(a, b) for a, b in zip(work(), expected, strict=True))
        os._exit(0 if equal and (not deeper or comes_out_equal_in_a_child(work, expected, deeper - 1)) else 1)
    finally:
        os._exit(2)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="threads are needed")
@pytest.mark.parametrize("name", WORK)
def test_a_forked_child_computes_what_its_parent_did(name: str, threads: Callable[[int], None]) -> None:
    if name == "fused":
        implementations.require(name)
    threads(2)
    expected = WORK[name]()
    assert comes_out_equal_in_a_child(WORK[name], expected, deeper=1)
    assert all(torch.equal(a, b) for a, b in zip(WORK[name](), expected, strict=True))
    assert torch.get_num_threads() == 2
