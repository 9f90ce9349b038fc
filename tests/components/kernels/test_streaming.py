"""Promises of streaming besides the result: it never holds a map of all queries and keys."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from components.kernels import streaming
from components.kernels.eager import Eager
from components.kernels.streaming import Streaming
from tests.components.kernels.cases import Attend, Case, run

CASE = Case(heads=2, tokens=300, width=8, kernel=(6, 11), batch=1)
MAP = CASE.heads * CASE.tokens**2


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.elements = max([self.elements, *sizes])
        return result


def largest(attend: Attend) -> int:
    """Elements of the largest tensor in a forward and backward pass."""
    with Largest() as seen:
        run(attend, CASE, torch.float32)
    return seen.elements


def test_no_map_is_ever_stored() -> None:
    """The largest tensor is a block's rows, with the rows and keys that its kernels need.

    That is 5 rows above for each of two kernels, and 10 keys of padding.
    """
    assert largest(Eager().attend) >= MAP
    assert largest(Streaming().attend) <= CASE.heads * (streaming.BLOCK + 10 + 5) * (CASE.tokens + 10)


def test_nothing_of_a_block_is_kept_for_the_backward_pass() -> None:
    """Beside the inputs, autograd saves nothing that grows with the square of the tokens."""
    kept: dict[str, int] = {}
    for name, attend in ((one.name, one.attend) for one in (Eager(), Streaming())):
        saved: dict[int, int] = {}

        def note(tensor: Tensor, saved: dict[int, int] = saved) -> Tensor:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.element_size()
            return tensor

        ops = CASE.ops(torch.float32)
        query, key, value, _ = (tensor.requires_grad_() for tensor in CASE.inputs(torch.float32).values())
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            y_BMTd = attend(query, key, value, ops, dropout=None)
        kept[name] = sum(saved.values())
        y_BMTd.sum().backward()
    assert kept["eager"] > MAP
    assert kept["streaming"] < 8 * value.numel()
