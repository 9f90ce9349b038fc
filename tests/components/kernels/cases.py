"""Cases on which implementations are compared: operations by name, random inputs, all outputs.

Shapes: B batch, M heads, T tokens, d head width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from components.attention.differential import PairDifference
from components.kernels.base import MapOps
from components.kernels.eager import Eager
from components.score_ops import HeadMixing, Joint, KeyQuery, ScoreOp

CPU = torch.device("cpu")
Attend = Callable[..., Tensor]
ORDERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "softmax": ((), ()),
    "kq": (("kq",), ()),
    "exact": (("exact",), ()),
    "mix": (("mix",), ()),
    "kq mix": (("kq", "mix"), ()),
    "mix kq": (("mix", "kq"), ()),
    "mix exact": (("mix", "exact"), ()),
    "kq kq": (("kq", "kq"), ()),
    "exact kq": (("exact", "kq"), ()),
    "softmax kq": ((), ("kq",)),
    "softmax exact": ((), ("exact",)),
    "softmax mix": ((), ("mix",)),
    "softmax kq mix": ((), ("kq", "mix")),
    "softmax mix kq": ((), ("mix", "kq")),
    "softmax kq kq": ((), ("kq", "kq")),
    "kq mix softmax kq mix": (("kq", "mix"), ("kq", "mix")),
    "mix exact kq softmax mix exact": (("mix", "exact", "kq"), ("mix", "exact")),
    "softmax difference": ((), ("difference",)),
    "kq softmax difference": (("kq",), ("difference",)),
    "left": (("left",), ()),
    "right": (("right",), ()),
    "exact left": (("exact left",), ()),
    "exact right": (("exact right",), ()),
    "softmax left": ((), ("left",)),
    "right mix left softmax right mix left": (("right", "mix", "left"), ("right", "mix", "left")),
    "joint": (("joint",), ()),
    "softmax joint": ((), ("joint",)),
    "joint mix kq softmax mix joint": (("joint", "mix", "kq"), ("mix", "joint")),
}
"""the operations before and after the softmax; `difference` pairs heads"""
FUSED_ORDERS = [order for order in ORDERS if "joint" not in order]
"""those that the fused kernel has: a joint kernel has no fused form"""


@dataclass(frozen=True)
class Case:
    """The operations and sizes of one comparison."""

    order: str = "kq mix softmax kq mix"
    heads: int = 3
    tokens: int = 63
    width: int = 24
    kernel: tuple[int, int] = (6, 11)
    batch: int = 2
    group: int | None = None
    """c_h; None is the largest up to 4 that divides the heads"""

    def ops(self, dtype: torch.dtype, device: torch.device = CPU) -> MapOps:
        """The operations before and after the softmax, every parameter random."""
        pre, post = ([self.op(name) for name in names] for names in ORDERS[self.order])
        generator = torch.Generator().manual_seed(5)
        for parameter in nn.ModuleList([*pre, *post]).parameters():
            scale = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.3
            nn.init.normal_(parameter, std=1.5 * scale, generator=generator)
        for op in (*pre, *post):
            op.bfloat16().to(device, dtype)  # the same numbers in any dtype
        return MapOps(pre, post)

    def op(self, name: str) -> ScoreOp:
        """One operation by its short name."""
        if name == "difference":
            return PairDifference(heads=self.heads, width=4, layer=3)
        group = self.group or next(size for size in (4, 3, 2, 1) if self.heads % size == 0)
        config = {
            "kq": KeyQuery(kernel=self.kernel),
            "exact": KeyQuery(kernel=self.kernel, mask="exact"),
            "left": KeyQuery(kernel=self.kernel, padding="left"),
            "right": KeyQuery(kernel=self.kernel, padding="right"),
            "exact left": KeyQuery(kernel=self.kernel, mask="exact", padding="left"),
            "exact right": KeyQuery(kernel=self.kernel, mask="exact", padding="right"),
            "joint": Joint(kernel=self.kernel, group=group),
            "mix": HeadMixing(group=group),
        }[name]
        return config.build(heads=self.heads)

    def inputs(self, dtype: torch.dtype, device: torch.device = CPU) -> dict[str, Tensor]:
        """Return queries, keys, values and a gradient [B, M, T, d]: equal numbers in any dtype."""
        generator = torch.Generator().manual_seed(6)
        shape = (self.batch, self.heads, self.tokens, self.width)
        return {
            name: torch.randn(shape, generator=generator).bfloat16().to(device, dtype)
            for name in ("query", "key", "value", "upstream")
        }


def run(attend: Attend, case: Case, dtype: torch.dtype, device: torch.device = CPU) -> dict[str, Tensor]:
    """Output and gradients of queries, keys, values and each parameter, by name."""
    ops = case.ops(dtype, device)
    inputs = case.inputs(dtype, device)
    upstream = inputs.pop("upstream")
    for tensor in inputs.values():
        tensor.requires_grad_()
    y_BMTd = attend(*inputs.values(), ops, dropout=None)
    assert (y_BMTd.dtype, y_BMTd.shape) == (dtype, upstream.shape)
    modules = nn.ModuleDict({"pre": nn.ModuleList(ops.pre), "post": nn.ModuleList(ops.post)})
    inputs |= dict(modules.named_parameters())
    gradients = torch.autograd.grad(y_BMTd, list(inputs.values()), upstream)
    return {"y": y_BMTd.detach(), **dict(zip(inputs, gradients, strict=True))}


def assert_close(actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """Each tensor's largest error is at most `tolerance` of the largest value expected in it.

    A single number is a sum over whole maps whose terms may cancel: it is held to the largest value
    of all tensors.
    """
    assert actual.keys() == expected.keys()
    largest = max((float(value.abs().max()) for value in expected.values() if value.numel()), default=0.0)
    for name, reference in expected.items():
        error = (actual[name].cpu().double() - reference.cpu().double()).abs().max().item()
        scale = largest if reference.numel() == 1 else max(reference.abs().max().item(), 1e-3)
        assert error <= tolerance * scale, f"{name}: {error}"


@cache
def reference(case: Case) -> dict[str, Tensor]:
    """The eager form in float64, which the oracle's loops confirm on small shapes."""
    return run(Eager().attend, case, torch.float64)
