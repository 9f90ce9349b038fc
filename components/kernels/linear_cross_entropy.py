"""Cross-entropy of a linear layer's outputs, without keeping these.

The logits of a batch are its largest tensor by far: 134 GB for 128 sequences of 2048 tokens and a
vocabulary of 128,256. Here a chunk of their rows is multiplied, scored and differentiated at once,
and then forgotten. The matrix products are those of the plain form, none of them made twice.

Shapes: N predictions, D width, V vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from components.kernels import substitute
from components.kernels.pointwise import cross_entropy, suits

CHUNK = 1024  # rows; for 8192 x 4096 logits on a CPU a tenth faster than all at once, and 256 rows are as fast


def linear_cross_entropy(
    x_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, divisor: int, *, compiled: bool = True
) -> Tensor:
    """Return the sum of the losses of the predictions x weight^T, in nats, over `divisor`.

    Under autocast the products are in its dtype, the losses in float32. The chunked form has no
    second derivative, and says so where one is asked for; `compiled=False` has it. Operands of
    float64 are computed in float64.

    Raises:
        ValueError: there are not as many targets as predictions.
    """
    if targets_N.shape != x_ND.shape[:1]:
        raise ValueError(f"targets: got {list(targets_N.shape)}, allowed: one a prediction, {list(x_ND.shape[:1])}")
    if compiled and torch.is_grad_enabled() and not _obstacle(x_ND, weight_VD):
        loss: Tensor = _Chunked.apply(x_ND, weight_VD, targets_N, divisor)  # type: ignore[no-untyped-call]
        return loss
    logits_NV = F.linear(x_ND, weight_VD)
    if logits_NV.dtype != torch.float64:
        logits_NV = logits_NV.float()
    return cross_entropy(logits_NV, targets_N, compiled=compiled).sum() / divisor


def _obstacle(*operands: Tensor) -> str | None:
    """Return why the chunked form may not stand for the plain one, or None where it may."""
    if torch.compiler.is_compiling():
        return "torch.compile plans its own memory"
    if any(x.dtype == torch.float64 for x in operands):
        return "float64 is for references"
    dtypes = {_product_dtype(x) for x in operands}
    if torch.float16 in dtypes:
        return "gradients in float16 need the loss to be scaled first"
    if len(dtypes) > 1:
        return "F.linear says what is wrong with operands of two dtypes"
    return substitute.obstacle(*(type(x) for x in operands))


def _product_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype of a matrix product with `x` here: autocast's, or its own."""
    device = x.device.type
    autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if autocast else x.dtype


class _Chunked(torch.autograd.Function):
    """The gradients are made along with the losses, for an upstream gradient of 1."""

    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, divisor: int) -> Tensor:
        device, dtype = x_ND.device.type, _product_dtype(x_ND)
        weight = weight_VD.to(dtype)
        # Sums over chunks are in float32: in bfloat16 they would lose digits with each chunk.
        x_gradient = torch.empty_like(x_ND) if ctx.needs_input_grad[0] else None
        weight_gradient = torch.zeros_like(weight_VD, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        total = x_ND.new_zeros((), dtype=torch.float32)
        with torch.autocast(device, enabled=False):
            for start in range(0, len(targets_N), CHUNK):
                rows = slice(start, start + CHUNK)
                x = x_ND[rows].to(dtype)
                losses, gradient = _scored((x @ weight.T).float(), targets_N[rows], 1.0 / divisor)
                gradient = gradient.to(dtype)
                total += losses.sum()
                if x_gradient is not None:
                    x_gradient[rows] = gradient @ weight
                if weight_gradient is not None:
                    weight_gradient += gradient.T @ x
        ctx.save_for_backward(x_gradient, None if weight_gradient is None else weight_gradient.to(weight_VD.dtype))
        return total / divisor

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(substitute.NO_SECOND)
        return *(gradient if gradient is None else gradient * upstream for gradient in ctx.saved_tensors), None, None


def _scored(logits: Tensor, targets: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return the loss of each row of logits, and the gradient of their sum times `scale`."""
    if suits(logits):
        losses = torch.ops.mta_lab.cross_entropy(logits, targets)
        scales = torch.full_like(losses, scale)
        return losses, torch.ops.mta_lab.cross_entropy_backward(scales, logits, targets)
    log_shares = logits.log_softmax(-1)
    losses = -log_shares.gather(-1, targets[:, None]).squeeze(-1)
    gradient = log_shares.exp()
    gradient.scatter_add_(-1, targets[:, None], gradient.new_full((len(targets), 1), -1.0))
    return losses, gradient * scale
