"""The values of each kernel initialisation, in the layout of each operation that has a kernel.

Shapes: M heads, A query offsets, B key offsets; G groups of heads, O and N the heads that a kernel
writes and reads.
"""

import re
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from components import ComponentError
from components.initialise import initialise
from components.kernel_init import Constant, Diagonal, Identity, KernelInitConfig, Normal, Uniform, Zero
from components.score_ops import Joint, KeyQuery, ScoreOp
from components.score_ops.key_query import Padding
from mta_lab.testing import oracle

FIXED: dict[KernelInitConfig, Callable[[int, int], float]] = {
    Identity(): lambda a, b: float(a == b == 0),
    Diagonal(): lambda a, b: float(a == b),
    Zero(): lambda a, b: 0.0,
    Constant(): lambda a, b: 0.3,
    Constant(value=-2.0): lambda a, b: -2.0,
}
"""theta[a, b] of each"""
RANDOM = (Uniform(), Normal())
SIZES = [(6, 11), (1, 1), (2, 9), (8, 4), (3, 12), (4, 1), (1, 6)]


def started(op: ScoreOp, seed: int = 0) -> Tensor:
    """The operation's kernel as a model starts it."""
    initialise(nn.ModuleDict({"op": op}), seed)
    return op.get_parameter("kernel").detach()


@pytest.mark.parametrize("padding", get_args(Padding))
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("init", FIXED, ids=str)
def test_fixed_values(init: KernelInitConfig, size: tuple[int, int], padding: Padding) -> None:
    kernel_MAB = started(KeyQuery(kernel=size, padding=padding, init=init).build(heads=3))
    expected_AB = [[FIXED[init](a, b) for b in oracle.key_offsets(size[1], padding)] for a in range(size[0])]
    assert torch.equal(kernel_MAB, torch.tensor(expected_AB).expand(3, -1, -1))


def test_the_diagonal_ends_where_the_kernel_does() -> None:
    """b = a for a up to min(c_q - 1, floor(c_k / 2)).

    An even kernel's last b is one less than c_k / 2.
    """
    for (queries, keys), last in {(6, 11): 5, (8, 11): 5, (3, 11): 2, (8, 4): 1, (1, 6): 0}.items():
        kernel_MAB = started(KeyQuery(kernel=(queries, keys), init=Diagonal()).build(heads=1))
        assert kernel_MAB.nonzero().tolist() == [[0, a, keys // 2 + a] for a in range(last + 1)]


@pytest.mark.parametrize("padding", get_args(Padding))
def test_uniform_fills_its_range(padding: Padding) -> None:
    kernel_MAB = started(KeyQuery(kernel=(20, 21), padding=padding, init=Uniform(low=-1.0, high=3.0)).build(heads=16))
    assert -1.0 <= kernel_MAB.min() < -0.95
    assert 2.95 < kernel_MAB.max() <= 3.0
    assert kernel_MAB.mean().item() == pytest.approx(1.0, abs=0.07)  # 6,720 draws of std 1.15: 5 standard errors


@pytest.mark.parametrize("padding", get_args(Padding))
def test_normal_is_cut_at_three_standard_deviations(padding: Padding) -> None:
    kernel_MAB = started(KeyQuery(kernel=(20, 21), padding=padding, init=Normal(std=0.3)).build(heads=16))
    assert 0.75 < kernel_MAB.abs().max() <= 0.9
    assert kernel_MAB.mean().item() == pytest.approx(0.0, abs=0.018)
    assert kernel_MAB.std().item() == pytest.approx(0.296, abs=0.013)  # the cut takes 1.3 % of it


@pytest.mark.parametrize("init", RANDOM, ids=str)
def test_heads_are_drawn_apart_and_from_the_given_stream_alone(init: KernelInitConfig) -> None:
    op = KeyQuery(kernel=(2, 3), init=init).build(heads=4)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first, before = started(op, 7).clone(), torch.random.get_rng_state()
        assert torch.equal(started(op, 7), first)
        assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.equal(started(op, 8), first)
    assert len({tuple(head.flatten().tolist()) for head in first}) == 4


@pytest.mark.parametrize("init", [*FIXED, *RANDOM], ids=str)
@pytest.mark.parametrize("group", [1, 2, 4])
def test_a_joint_kernel_starts_as_the_kernels_of_its_heads(init: KernelInitConfig, group: int) -> None:
    """Under one seed, each head reads only its own map, by the key-query kernel."""
    joint_GONAB = started(Joint(kernel=(3, 4), group=group, init=init).build(heads=4), 5)
    kernel_MAB = started(KeyQuery(kernel=(3, 4), init=init).build(heads=4), 5)
    assert joint_GONAB.shape == (4 // group, group, group, 3, 4)
    for g, o, n in torch.cartesian_prod(*(torch.arange(size) for size in joint_GONAB.shape[:3])).tolist():
        expected_AB = kernel_MAB[g * group + o] if o == n else torch.zeros(3, 4)
        assert torch.equal(joint_GONAB[g, o, n], expected_AB)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Constant(value=float("nan")), "value: got nan, allowed: a finite number"),
        (lambda: Constant(value=float("inf")), "value: got inf, allowed: a finite number"),
        (lambda: Normal(std=0.0), "std: got 0.0, allowed: a finite number above 0"),
        (lambda: Normal(std=-0.3), "std: got -0.3, allowed: a finite number above 0"),
        (lambda: Normal(std=float("nan")), "std: got nan"),
        (lambda: Uniform(low=float("-inf")), "low: got -inf, allowed: a finite number"),
        (lambda: Uniform(low=1.0), "high: got 1.0, allowed: a finite number above low (1.0)"),
        (lambda: Uniform(low=0.5, high=0.2), "high: got 0.2, allowed: a finite number above low (0.5)"),
        (lambda: Uniform(high=float("inf")), "high: got inf"),
    ],
)
def test_impossible_values_are_refused(build: Callable[[], KernelInitConfig], message: str) -> None:
    with pytest.raises(ComponentError, match=f"^{re.escape(message)}"):
        build()
