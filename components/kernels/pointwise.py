"""The decoder's operators on single rows: norms, SwiGLU, rotary embedding, cross-entropy.

Each is one pass of compiled code (`cpu/csrc/pointwise.cpp`) for float32 on a CPU where the library
can be loaded, and the torch form that stands beside it elsewhere: on other devices, in other
dtypes, without a compiler, where `substitute` says that compiled code may not stand for it, and
with `compiled=False`. Torch's own on a CPU take a pass over memory for every operation, and as many
again for the gradient. The compiled ones do not depend on the number of threads, to the bit, and
raise an error where a second derivative is asked for.

Shapes: B batch, T tokens, M heads, d head width; the last dimension is the row, any number of them
before it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from components.kernels import substitute
from components.kernels.cpu import library

NO_TARGET = -(2**63)
"""in place of torch's -100, which would silently count as no prediction"""


def rms_norm(x: Tensor, weight_d: Tensor, eps: float, *, compiled: bool = True) -> Tensor:
    """Return x / sqrt(mean(x^2) + eps) * weight over the last dimension.

    Source: Zhang & Sennrich 2019, 1910.07467.
    """
    if compiled and suits(x, weight_d):
        normed: Tensor = torch.ops.mta_lab.rms_norm(x, weight_d, None, None, eps)
        return normed
    return F.rms_norm(x, weight_d.shape, weight_d, eps)


def gated_rms_norm(
    x: Tensor, weight_d: Tensor, gate_1d: Tensor, bias: Tensor, eps: float, *, compiled: bool = True
) -> Tensor:
    """Return y * sigmoid(gate . y + bias) of each row's y = `rms_norm`; `bias` is [1]."""
    if compiled and suits(x, weight_d, gate_1d, bias):
        gated: Tensor = torch.ops.mta_lab.rms_norm(x, weight_d, gate_1d, bias, eps)
        return gated
    normed = rms_norm(x, weight_d, eps, compiled=compiled)
    # Not a product by torch.linalg, which autocast would take to bfloat16.
    return normed * torch.sigmoid((normed * gate_1d).sum(-1, keepdim=True) + bias)


def swiglu(a: Tensor, b: Tensor, *, compiled: bool = True) -> Tensor:
    """Return silu(a) * b (Shazeer 2020, 2002.05202); the two have one shape."""
    if compiled and suits(a, b):
        product: Tensor = torch.ops.mta_lab.swiglu(a, b)
        return product
    return F.silu(a) * b


def rotate(x_BTD: Tensor, turns_T2c: Tensor, *, compiled: bool = True) -> Tensor:
    """Turn channels c and c + d / 2 of each head by its position's angle: the rotary embedding.

    The M heads are side by side.

    `turns_T2c` has the cosines and the sines of each position's d / 2 angles. Where these learn,
    the torch form runs: the compiled one has no gradient of theirs. A RuntimeError says which
    shapes do not fit.
    """
    if x_BTD.dtype in (torch.bfloat16, torch.float16):
        return rotate(x_BTD.float(), turns_T2c, compiled=compiled).to(x_BTD.dtype)
    if compiled and suits(x_BTD, turns_T2c) and not turns_T2c.requires_grad:
        turned_BTD: Tensor = torch.ops.mta_lab.rotate(x_BTD, turns_T2c)
        return turned_BTD
    (tokens, width), angles = x_BTD.shape[-2:], turns_T2c.shape[-1]
    if turns_T2c.shape != (tokens, 2, angles) or not angles or width % (2 * angles):
        raise RuntimeError(f"rotate: {list(x_BTD.shape)} cannot be turned by {list(turns_T2c.shape)}")
    real_BTMc, imaginary_BTMc = x_BTD.view(*x_BTD.shape[:-1], -1, 2, angles).unbind(-2)
    cos_T1c, sin_T1c = (turn_Tc.unsqueeze(1) for turn_Tc in turns_T2c.unbind(1))
    turned_BTMc = real_BTMc * cos_T1c - imaginary_BTMc * sin_T1c, imaginary_BTMc * cos_T1c + real_BTMc * sin_T1c
    return torch.stack(turned_BTMc, dim=-2).flatten(-3)


def cross_entropy(logits_NV: Tensor, targets_N: Tensor, *, compiled: bool = True) -> Tensor:
    """Return the loss of each of N predictions [N], in nats."""
    if compiled and suits(logits_NV):
        losses_N: Tensor = torch.ops.mta_lab.cross_entropy(logits_NV, targets_N)
        return losses_N
    return F.cross_entropy(logits_NV, targets_N, ignore_index=NO_TARGET, reduction="none")


def suits(*operands: Tensor) -> bool:
    """Return whether the compiled forms take these operands."""
    for x in operands:
        if x.dtype != torch.float32 or x.device.type != "cpu":
            return False
    return library.unavailable() is None and substitute.obstacle(*(type(x) for x in operands)) is None
