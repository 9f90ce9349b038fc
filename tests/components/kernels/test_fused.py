"""Promises of the compiled kernel alone: equal bits on any number of threads, and its contract.

Shapes: B batch, M heads, T tokens, Q query position, K key position, d head width.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from components.kernels.base import MapOps
from components.kernels.cpu.fused import Fused
from components.kernels.dropout import Dropout
from components.kernels.eager import Eager
from mta_lab.testing import implementations
from tests.components.kernels.cases import FUSED_ORDERS, Case, assert_close, run

LONG = Case(heads=4, tokens=1100, width=24, batch=1)
"""one unit of heads, long enough to be cut into several walks: 18 blocks of 64 queries are two"""
JOINED = ["kq mix softmax kq mix", "mix exact kq softmax mix exact"]


@pytest.fixture(autouse=True)
def built() -> None:
    implementations.require("fused")


def arguments(case: Case, dtype: torch.dtype = torch.float32) -> tuple[object, ...]:
    """Return the arguments of `mta_lab::attend`."""
    pre, post = case.ops(dtype)
    stages = [op.stage() for op in (*pre, *post)]
    inputs = case.inputs(dtype)
    del inputs["upstream"]
    weights = [stage.weight.detach().requires_grad_() for stage in stages if stage]
    kinds = [str(stage.kind) for stage in stages if stage]
    kinds.insert(len(pre), "softmax")
    return *(tensor.requires_grad_() for tensor in inputs.values()), weights, " ".join(kinds), 0.0, None, 1


@pytest.mark.parametrize("case", [Case(batch=3), LONG], ids=["batch", "walks"])
def test_threads_change_no_bit(case: Case, threads: Callable[[int], None]) -> None:
    results = []
    for number in (1, 2, 3):
        threads(number)
        results.append(run(dropping, case, torch.float32))
    for other in results[1:]:
        assert all(torch.equal(other[name], value) for name, value in results[0].items())


@pytest.mark.parametrize("order", JOINED)
def test_memory_kept_from_other_calls_changes_no_bit(order: str) -> None:
    """Maps full of NaN are left by a call; the next one takes their memory."""
    case = replace(LONG, order=order)
    before = run(Fused().attend, case, torch.float32)
    spoiled = run(partial(times, factor=torch.nan), case, torch.float32)
    assert spoiled["y"].isnan().all()
    after = run(Fused().attend, case, torch.float32)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def dropping(query: Tensor, key: Tensor, value: Tensor, ops: MapOps, dropout: None) -> Tensor:
    """The kernel with dropout, whatever is asked for."""
    return Fused().attend(query, key, value, ops, Dropout(0.2, torch.arange(len(query))))


def times(query: Tensor, key: Tensor, value: Tensor, ops: MapOps, dropout: None, factor: float) -> Tensor:
    """The kernel on queries times a factor."""
    return Fused().attend(query * factor, key, value, ops, dropout)


@pytest.mark.parametrize("order", FUSED_ORDERS)
def test_blocks_join(order: str) -> None:
    """Three blocks, the last one shorter: maps and gradients are carried from each to the next."""
    case = Case(order, heads=2, tokens=150, width=8, kernel=(7, 4), batch=1)
    assert_close(run(Fused().attend, case, torch.float32), run(Eager().attend, case, torch.float64), 3e-5)


@pytest.mark.parametrize("order", JOINED)
def test_walks_join(order: str) -> None:
    """Several walks and blocks over one sequence: gradients cross their borders."""
    case = replace(LONG, heads=2, order=order, kernel=(13, 4))  # the reference in float64 is slow
    assert_close(run(Fused().attend, case, torch.float32), run(Eager().attend, case, torch.float64), 3e-5)


@pytest.mark.parametrize("order", ["softmax", *JOINED])
@pytest.mark.parametrize(("batch", "tokens"), [(0, 6), (2, 0), (0, 0)])
def test_no_tokens_are_no_error(order: str, batch: int, tokens: int) -> None:
    """An empty output and gradients of zero, as the eager form gives them."""
    case = Case(order, batch=batch, tokens=tokens)
    found, expected = run(Fused().attend, case, torch.float32), run(Eager().attend, case, torch.float32)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("order", FUSED_ORDERS)
def test_operators(order: str) -> None:
    """Schema and fake tensors, as torch checks them for any operator."""
    case = Case(order, heads=2, tokens=19, width=8)
    given, checks = arguments(case), ("test_schema", "test_faketensor")
    torch.library.opcheck(torch.ops.mta_lab.attend.default, given, test_utils=checks)
    upstream = case.inputs(torch.float32)["upstream"]
    torch.library.opcheck(torch.ops.mta_lab.attend_backward.default, (upstream, *given), test_utils=checks)


def test_compiles_without_a_break() -> None:
    case = Case(tokens=21)
    ops = case.ops(torch.float32)
    inputs = case.inputs(torch.float32)
    del inputs["upstream"]
    query = inputs["query"].requires_grad_()

    def loss(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return Fused().attend(query, key, value, ops, dropout=None).square().sum()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    expected, actual = (torch.autograd.grad(function(*inputs.values()), query)[0] for function in (loss, compiled))
    torch.testing.assert_close(actual, expected)


def test_operations_are_counted() -> None:
    """Count two products of the visible places, and each tap once.

    Backward, there are five products, and each tap counts three times.
    """
    case = Case("kq mix", heads=3, tokens=10, width=8, kernel=(2, 9), batch=2)
    places, taps = 2 * 3 * 55, 2 * 9 + 3
    with FlopCounterMode(display=False) as counter:
        run(Fused().attend, case, torch.float32)
    assert counter.get_total_flops() == 2 * places * (7 * 8 + 4 * taps)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({1: torch.zeros(2, 3, 5, 24)}, "one shape"),
        ({0: torch.zeros(3, 63, 24)}, r"must be \[batch, heads, tokens, width\]"),
        ({4: "convolve blend softmax convolve mix"}, "no stage 'blend' here"),
        ({4: "convolve softmax mix softmax convolve mix"}, "no stage 'softmax' here"),
        ({4: "convolve mix convolve mix"}, "no softmax"),
        ({4: "convolve mix softmax"}, "4 weights for 'convolve mix softmax'"),
        ({4: "convolve mix softmax convolve mix mix"}, "4 weights for"),
        ({5: 1.5}, r"1.5 is not in \[0, 1\)"),
        ({5: 0.5}, "needs a seed"),
        ({3: [torch.zeros(2, 2, 9), *[torch.ones(1, 3, 3)] * 3]}, "convolve of 3 heads cannot have a weight of"),
        ({4: "convolve mix convolve_exact mix softmax"}, "cannot follow another"),
    ],
)
def test_refuses(change: dict[int, object], message: str) -> None:
    given = list(arguments(Case()))
    for place, value in change.items():
        given[place] = value
    with pytest.raises(RuntimeError, match=message):
        torch.ops.mta_lab.attend(*given)
