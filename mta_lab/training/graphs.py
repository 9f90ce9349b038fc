"""Replay the kernels of a step as CUDA graphs (`training.compile: graph`).

torch traces the loss and its gradient once, keeps the kernels that it would start one by one, and
starts all of them at once from then on. What it cannot keep raises an error.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mta_lab.devices import own
from mta_lab.errors import UserError

BACKEND = "cudagraphs"  # the same kernels: torch's own compiler would fuse them, and round otherwise


def graphed(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return `function` as a graph of its forward pass and one of its backward pass.

    A device without graphs, on which steps are only timed, computes the function as it is. Graphs
    that were made in this process before are dropped.
    """
    if not own.has_graphs():
        return function
    torch._inductor.config.triton.cudagraph_or_error = True  # it would leave parts out, and only log it
    torch.compiler.reset()
    return torch.compile(function, backend=BACKEND, fullgraph=True, dynamic=False)


def refuse_parts(micro_batch: int, batch_size: int) -> None:
    """Raise UserError where a step reads a batch in parts: gradients stay in a graph's memory."""
    if micro_batch < batch_size:
        said = f"which reads a batch at once, but {micro_batch} of {batch_size} sequences are read at a time"
        raise UserError(f"training.compile: got 'graph', {said}; allowed: auto, off, or a smaller training.batch_size")
