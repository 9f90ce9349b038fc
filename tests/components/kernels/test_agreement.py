"""Every implementation against the oracle's loops and eager in float64: outputs and gradients.

Shapes: B batch, M heads, T tokens, d head width.
"""

from functools import partial

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from components.kernels import streaming
from components.kernels.base import MapOps
from components.kernels.choice import IMPLEMENTATIONS
from components.kernels.eager import Eager
from components.score_ops import ScoreOp
from components.score_ops.joint import JointConvolution
from mta_lab.testing import implementations, oracle
from tests.components.kernels.cases import CPU, FUSED_ORDERS, ORDERS, Attend, Case, assert_close, reference, run

ROUNDING = {torch.float64: 1e-11, torch.float32: 3e-5, torch.bfloat16: 4e-2}
"""largest error on any device, of the largest value; the reference is always the CPU's"""
every_impl = pytest.mark.parametrize("impl", implementations.IMPLEMENTATIONS)
every_order = pytest.mark.parametrize(
    ("impl", "order"),
    [
        (impl, order)
        for impl in implementations.IMPLEMENTATIONS
        for order in (FUSED_ORDERS if impl == "fused" else ORDERS)
    ],
)


@pytest.fixture
def attend(able: None, impl: str, monkeypatch: pytest.MonkeyPatch) -> Attend:
    """The implementation under test; streaming in blocks so small that few tokens make several."""
    monkeypatch.setattr(streaming, "BLOCK", 8)
    return IMPLEMENTATIONS[impl].attend


def finest(impl: str) -> torch.dtype:
    """The dtype that an implementation is compared in."""
    return torch.float32 if impl == "fused" else torch.float64


def check(attend: Attend, case: Case, dtype: torch.dtype, device: torch.device) -> None:
    assert_close(run(attend, case, dtype, device), reference(case), ROUNDING[dtype])


def with_even_heads(order: str) -> Case:
    """A small case of the order, its heads even where it pairs them."""
    return Case(order, heads=2 if "difference" in order else 3)


def loops(query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor, pre: list[ScoreOp], post: list[ScoreOp]) -> Tensor:
    """Run the oracle as an implementation; each operation as its `stage` says, if it has one."""

    def loop(op: ScoreOp, weights: bool) -> oracle.Op:
        if isinstance(op, JointConvolution):
            return partial(oracle.joint, theta_GOIAB=op.kernel)
        stage = op.stage()
        assert stage is not None
        if stage.kind == "mix":
            return partial(oracle.mix, matrix_GOI=stage.weight)
        if stage.kind == "convolve":
            return partial(oracle.convolve, theta_MAB=stage.weight)
        return partial(oracle.convolve_exact, theta_MAB=stage.weight, weights=weights)

    ops = {"pre": [loop(op, False) for op in pre], "post": [loop(op, True) for op in post]}
    sequences = zip(query_BMTd, key_BMTd, value_BMTd, strict=True)
    return torch.stack([oracle.attention(*qkv, **ops, norm=oracle.no_norm) for qkv in sequences])


@every_order
def test_loops(attend: Attend, impl: str, order: str, device: torch.device) -> None:
    """Eleven tokens make two blocks of streaming; the kernel is wider than what the second has."""
    case = Case(order, heads=2, tokens=11, width=4, kernel=(3, 4), batch=1)
    expected = run(lambda query, key, value, ops, dropout: loops(query, key, value, *ops), case, torch.float64)
    assert_close(run(attend, case, finest(impl), device), expected, ROUNDING[finest(impl)])


@every_order
def test_orders(attend: Attend, impl: str, order: str, device: torch.device) -> None:
    check(attend, with_even_heads(order), finest(impl), device)


@pytest.mark.parametrize("tokens", [1, 5, 63, 129])
@pytest.mark.parametrize("width", [24, 96])
@pytest.mark.parametrize("heads", [1, 2, 3, 16])
@every_impl
def test_sizes(attend: Attend, impl: str, heads: int, width: int, tokens: int, device: torch.device) -> None:
    check(attend, Case(heads=heads, width=width, tokens=tokens, batch=1), finest(impl), device)


@pytest.mark.parametrize("group", [1, 2, 4, 8, 16])
@every_impl
def test_groups(attend: Attend, impl: str, group: int, device: torch.device) -> None:
    check(attend, Case(heads=16, width=8, tokens=40, group=group, batch=1), finest(impl), device)


KERNELS = [(1, 1), (2, 9), (8, 13), (13, 2), (14, 3)]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: f"{kernel[0]}x{kernel[1]}")
@pytest.mark.parametrize(
    "order",
    ["kq mix softmax kq mix", "mix exact kq softmax mix exact", "right mix left softmax right mix left", "exact right"],
)
@pytest.mark.parametrize("tokens", [5, 65])
@every_impl
def test_kernels(
    attend: Attend, impl: str, tokens: int, order: str, kernel: tuple[int, int], device: torch.device
) -> None:
    check(attend, Case(order, heads=2, tokens=tokens, kernel=kernel), finest(impl), device)


@pytest.mark.parametrize("order", ["kq mix softmax kq mix", "mix exact", "softmax exact"])
@every_impl
def test_bfloat16(attend: Attend, impl: str, order: str, device: torch.device) -> None:
    check(attend, Case(order, heads=2), torch.bfloat16, device)


@every_impl
def test_autocast(attend: Attend, impl: str, device: torch.device) -> None:
    """In bf16 training, queries, keys and values are bfloat16; the operations stay float32."""

    def cast(query: Tensor, key: Tensor, value: Tensor, ops: MapOps, dropout: None) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            y_BMTd = attend(query.bfloat16(), key.bfloat16(), value.bfloat16(), ops, dropout=dropout)
        assert y_BMTd.dtype == torch.bfloat16
        return y_BMTd.float()

    case = Case()
    assert_close(run(cast, case, torch.float32, device), reference(case), ROUNDING[torch.bfloat16])


@pytest.mark.parametrize(
    "order", ["kq mix softmax kq mix", "mix exact kq softmax mix exact", "kq softmax difference", "joint"]
)
@pytest.mark.parametrize("impl", ["eager", "streaming"])
def test_gradients_are_those_of_finite_differences(attend: Attend, order: str, device: torch.device) -> None:
    case = Case(order, heads=2, tokens=10, width=2, kernel=(2, 3), batch=1)
    ops, given = case.ops(torch.float64, device), case.inputs(torch.float64, device)
    inputs = [tensor.requires_grad_() for name, tensor in given.items() if name != "upstream"]
    weights = list(nn.ModuleList(ops.all()).parameters())  # perturbed in place

    def outputs(*tensors: Tensor) -> Tensor:
        return attend(*tensors[:3], ops, dropout=None)

    assert torch.autograd.gradcheck(outputs, (*inputs, *weights))


cases = st.builds(
    Case,
    order=st.sampled_from([order for order in ORDERS if "difference" not in order]),
    heads=st.integers(1, 6),
    tokens=st.integers(1, 70),
    width=st.integers(1, 40),
    kernel=st.tuples(st.integers(1, 9), st.integers(1, 14)),
    batch=st.integers(1, 3),
)


@pytest.mark.parametrize("impl", ["streaming", "fused"])
@given(case=cases, block=st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_any_shape(impl: str, case: Case, block: int) -> None:
    implementations.require(impl)
    assume(impl != "fused" or case.order in FUSED_ORDERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "BLOCK", block)
        check(IMPLEMENTATIONS[impl].attend, case, finest(impl), CPU)


@every_impl
def test_no_gradient_is_asked_for(attend: Attend, impl: str, device: torch.device) -> None:
    """Evaluation, and gradients of some inputs only."""
    case, dtype = Case(), finest(impl)
    ops = case.ops(dtype, device)
    query, key, value, upstream = case.inputs(dtype, device).values()
    with torch.no_grad():
        y_BMTd = attend(query, key, value, ops, dropout=None)
    assert_close({"y": y_BMTd}, {"y": reference(case)["y"]}, ROUNDING[dtype])
    y_BMTd = attend(query, key.requires_grad_(), value, ops, dropout=None)
    (gradient,) = torch.autograd.grad(y_BMTd, [key], upstream)
    assert_close({"key": gradient}, {"key": reference(case)["key"]}, ROUNDING[dtype])


@every_impl
def test_inputs_of_any_layout(attend: Attend, impl: str, device: torch.device) -> None:
    """Make tensors as projections leave them, transposed, and a gradient of one number."""

    def turned(query: Tensor, key: Tensor, value: Tensor, ops: MapOps, dropout: None) -> Tensor:
        inputs = (tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in (query, key, value))
        return attend(*inputs, ops, dropout=dropout)

    check(turned, Case(), finest(impl), device)
    gradients = []
    for core, dtype, where in ((attend, finest(impl), device), (Eager().attend, torch.float64, CPU)):
        query, key, value, _ = (tensor.requires_grad_() for tensor in Case().inputs(dtype, where).values())
        y_BMTd = core(query, key, value, Case().ops(dtype, where), dropout=None)
        gradients.append(dict(zip(("q", "k"), torch.autograd.grad(y_BMTd.sum(), [query, key]), strict=True)))
    assert_close(*gradients, ROUNDING[finest(impl)])
