"""Every compiled operator, called directly, takes operands that fit and refuses others."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from components.attention import rotary_table
from mta_lab.testing import implementations

EPS = 1e-5


@pytest.fixture(autouse=True, scope="module")
def built() -> None:
    implementations.require("fused")


def x(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


MAPS, ROWS, TABLE = x(2, 4, 6, 8), x(3, 8), rotary_table(3, 4, 100.0)
KERNEL, MATRIX, TARGETS, SEEDS = x(4, 2, 3), x(2, 2, 2), torch.tensor([0, 7, 3]), torch.tensor([5, 6])
STAGES = "convolve softmax mix"
RIGHT: dict[str, list[Any]] = {
    "attend": [MAPS, x(2, 4, 6, 8), x(2, 4, 6, 8), [KERNEL, MATRIX], STAGES, 0.5, SEEDS, 1],
    "attend_backward": [x(2, 4, 6, 8), MAPS, MAPS, MAPS, [KERNEL, MATRIX], STAGES, 0.5, SEEDS, 1],
    "rms_norm": [ROWS, x(8), x(1, 8), x(1), EPS],
    "rms_norm_backward": [x(3, 8), ROWS, x(8), x(1, 8), x(1), EPS],
    "swiglu": [ROWS, x(3, 8)],
    "swiglu_backward": [x(3, 8), ROWS, x(3, 8)],
    "rotate": [ROWS, TABLE],
    "cross_entropy": [ROWS, TARGETS],
    "cross_entropy_backward": [x(3), ROWS, TARGETS],
}
NOWHERE = (torch.tensor(1.0), torch.empty(0), torch.ones(6))
"""tensors that fit nowhere: of a single value, of none and of six"""


def call(operator: str, operands: Sequence[Any]) -> Any:
    return getattr(torch.ops.mta_lab, operator)(*operands)


def refused(operator: str, place: int, given: Any) -> str:
    """Return what the operator says of operands that are right but for one."""
    operands = list(RIGHT[operator])
    operands[place] = given
    with pytest.raises((RuntimeError, IndexError)) as error:
        call(operator, operands)
    return str(error.value).splitlines()[0]


PLACES = [(operator, place) for operator, operands in RIGHT.items() for place, operand in enumerate(operands)
          if isinstance(operand, Tensor)]  # fmt: skip
every_operand = pytest.mark.parametrize(("operator", "place"), PLACES, ids=[f"{name}-{n}" for name, n in PLACES])


def test_there_is_a_call_of_every_operator() -> None:
    known = [name.partition("::") for name in torch._C._dispatch_get_all_op_names()]
    assert set(RIGHT) == {name.partition(".")[0] for library, _, name in known if library == "mta_lab"}


def may_be(operator: str, place: int, other: Tensor) -> bool:
    """Return whether the operand may have that shape, too."""
    right = RIGHT[operator][place]
    match operator, place:
        case "rms_norm", 0:
            return other.shape[-1:] == right.shape[-1:]  # any number of rows
        case "rotate", 0:
            return other.shape[-2:] == right.shape[-2:]  # any number of sequences
        case "rotate", 1:
            return other.dim() == 3 and other.shape[:2] == right.shape[:2]  # heads of another width
        case ("rms_norm", _) | ("rms_norm_backward", 2 | 3 | 4) | ("attend", 6) | ("attend_backward", 7):
            return other.numel() == right.numel()  # as many values as there should be
    return False


@every_operand
def test_an_operand_of_another_shape_is_refused(operator: str, place: int) -> None:
    right = RIGHT[operator][place]
    others = [*NOWHERE, right[None], right[..., None], torch.cat((right, right)) if right.dim() else x(2)]
    others += [right.narrow(dim, 0, right.shape[dim] - 1) for dim in range(right.dim())]
    for other in others:
        assert may_be(operator, place, other) or refused(operator, place, other.to(right.dtype)), other.shape


@every_operand
def test_an_operand_of_another_dtype_is_refused(operator: str, place: int) -> None:
    right = RIGHT[operator][place]
    for dtype in (torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.bool, torch.complex64):
        assert dtype == right.dtype or refused(operator, place, right.to(dtype)), dtype


@pytest.mark.parametrize("weights", [[], [KERNEL], [MATRIX, KERNEL], [KERNEL, MATRIX, MATRIX], [KERNEL[:3], MATRIX]])
@pytest.mark.parametrize("operator", ["attend", "attend_backward"])
def test_weights_that_are_not_the_stages_are_refused(operator: str, weights: list[Tensor]) -> None:
    place = 3 if operator == "attend" else 4
    assert refused(operator, place, weights).startswith("attend: ")
    for dtype in (torch.float64, torch.int64, torch.complex64):
        assert "a weight got" in refused(operator, place, [KERNEL.to(dtype), MATRIX])


@every_operand
def test_operands_may_lie_anyhow_in_memory(operator: str, place: int) -> None:
    """Try reversed dimensions, gaps, and one value seen many times.

    Weights of a norm must be dense, and that is said.
    """
    operands, right = list(RIGHT[operator]), RIGHT[operator][place]
    if right.dim() == 0:
        return
    turned = right.permute(*reversed(range(right.dim()))).contiguous().permute(*reversed(range(right.dim())))
    gaps = torch.stack((right, right), dim=-1)[..., 0]
    for other in (turned, gaps, right[:1].expand_as(right)):
        if "rms_norm" in operator and right.numel() == 8 and not other.is_contiguous():
            assert "side by side in memory" in refused(operator, place, other)
            continue
        found, expected = (
            call(operator, [*operands[:place], given, *operands[place + 1 :]]) for given in (other, other.contiguous())
        )
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_angles_that_learn_are_refused() -> None:
    assert "angles that learn have no gradient here" in refused("rotate", 1, TABLE.clone().requires_grad_())


@pytest.mark.parametrize("operator", ["attend", *(name for name in RIGHT if name.endswith("_backward"))])
def test_a_derivative_that_there_is_none_of_is_an_error(operator: str) -> None:
    operands = [one.clone().requires_grad_() if isinstance(one, Tensor) and one.is_floating_point() else one
                for one in RIGHT[operator]]  # fmt: skip
    found = call(operator, operands)
    with pytest.raises(RuntimeError, match="not implemented"):
        (found if isinstance(found, Tensor) else found[0]).sum().backward()
