"""Measure the arithmetic of a run: the bits of a small fixed computation by the same code.

Two kernels that agree except for rounding do the same computation in two arithmetics. Over a
training run rounding errors grow, so that the runs differ by a few per cent. The compiler, the
processor and torch matter as much as the source, so the bits themselves are compared, not versions.
Off the CPU only the forward pass is measured: gradients there may differ from one time to the next.

Shapes: B batch, T tokens, M heads, d head width.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from components.kernels import pointwise
from components.kernels.base import MapOps
from components.kernels.choice import IMPLEMENTATIONS
from components.kernels.cpu import build, library
from components.score_ops import ScoreOp, every_stage
from mta_lab.config import Precision
from mta_lab.model import HALVES, in_precision

TOKENS = 160  # more than one block of the streaming implementation
HEADS, HEAD_WIDTH, CLASSES = 4, 16, 96


def arithmetic(
    implementations: Iterable[str], precision: Precision, device: torch.device, *, compiled: bool
) -> dict[str, str]:
    """Return 8 hex digits for each part of a run: attention, row operators, matrix products.

    It is measured once a process. A variant that computes attention itself has no entry: it is
    identified by its code.
    """
    found = {f"{name}, {precision}": _attention(name, precision, device) for name in sorted(implementations)}
    kind = "compiled" if compiled and pointwise.suits(torch.zeros(1, dtype=torch.float32, device=device)) else "torch"
    found[f"row operators ({kind}), {precision}"] = _row_operators(compiled, precision, device)
    found[f"matrix products, {precision}"] = _matrix_products(precision, device)
    return {part: bits for part, bits in found.items() if bits}


def kernel_library() -> str:
    """Return the hash of the compiled kernels' sources, compiler flags and torch.

    Empty where they cannot be loaded.
    """
    return build.library().parent.name if library.unavailable() is None else ""


@cache
def _attention(name: str, precision: Precision, device: torch.device) -> str:
    if name not in IMPLEMENTATIONS:
        return ""
    with torch.random.fork_rng(devices=[]):  # initial values do not matter: they are overwritten below
        pre, post = every_stage(HEADS)
    given = MapOps(pre, post) if IMPLEMENTATIONS[name].takes_operations else MapOps()
    ops = [op.to(device, torch.float32) for op in given.all()]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in (parameter for op in ops for parameter in op.parameters()):
            parameter.copy_(_draw(generator, *parameter.shape))
    operands = [_draw(generator, 1, HEADS, TOKENS, HEAD_WIDTH).to(device, _dtype(precision)) for _ in range(3)]
    return _bits(partial(_attend, name, given), operands, ops, precision)


def _attend(name: str, ops: MapOps, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return IMPLEMENTATIONS[name].attend(query, key, value, ops, dropout=None)


@cache
def _row_operators(compiled: bool, precision: Precision, device: torch.device) -> str:
    width = HEADS * HEAD_WIDTH
    generator = torch.Generator().manual_seed(0)
    x, a, b = (_draw(generator, 1, TOKENS, width).to(device) for _ in range(3))
    weight, gate, bias = (_draw(generator, *shape).to(device) for shape in ((width,), (1, width), (1,)))
    turns = _draw(generator, TOKENS, 2, HEAD_WIDTH // 2).to(device)
    logits = _draw(generator, TOKENS, CLASSES).to(device)
    targets = torch.arange(TOKENS, device=device) % CLASSES

    def all_of_them(x: Tensor, a: Tensor, b: Tensor, logits: Tensor, weight: Tensor) -> Tensor:
        parts = [
            pointwise.rms_norm(x, weight, 1e-5, compiled=compiled),
            pointwise.gated_rms_norm(x, weight, gate, bias, 1e-5, compiled=compiled),
            pointwise.swiglu(a.to(_dtype(precision)), b.to(_dtype(precision)), compiled=compiled),
            pointwise.rotate(x.to(_dtype(precision)), turns, compiled=compiled),
            pointwise.cross_entropy(logits, targets, compiled=compiled),
        ]
        return torch.cat([part.float().flatten() for part in parts])

    return _bits(all_of_them, [x, a, b, logits, weight], [], precision)


@cache
def _matrix_products(precision: Precision, device: torch.device) -> str:
    generator = torch.Generator().manual_seed(0)
    operands = [_draw(generator, *shape).to(device) for shape in ((TOKENS, 256), (CLASSES, 256))]
    return _bits(F.linear, operands, [], precision)


def _bits(
    compute: Callable[..., Tensor], operands: Sequence[Tensor], ops: Sequence[ScoreOp], precision: Precision
) -> str:
    """Return 8 hex digits over the bits of an output and, on a CPU, of all gradients."""
    given = [operand.detach().requires_grad_() for operand in operands]
    device = given[0].device
    with torch.enable_grad(), in_precision(precision, device):
        y = compute(*given)
    found = [y]
    if device.type == "cpu":
        weights = _draw(torch.Generator().manual_seed(1), *y.shape).to(y.dtype)
        found += torch.autograd.grad(y, [*given, *(p for op in ops for p in op.parameters())], weights)
    digest = hashlib.sha256()
    for tensor in found:
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def _dtype(precision: Precision) -> torch.dtype:
    return HALVES.get(precision, torch.float32)


def _draw(generator: torch.Generator, *shape: int) -> Tensor:
    return 2.0 * torch.rand(shape, generator=generator, dtype=torch.float32) - 1.0
