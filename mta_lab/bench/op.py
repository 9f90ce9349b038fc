"""Measure level `op`: the attention core alone, in every implementation.

Its operations are those of the paper's models. Shapes: B batch, M heads, T tokens, d head width.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from components.attention import Attention, AttentionConfig
from components.kernels.base import Conditions, MapOps
from components.kernels.choice import IMPLEMENTATIONS
from mta_lab.bench.measure import Work, peak_growth, take_turns
from mta_lab.bench.process import Laboratory
from mta_lab.bench.results import Comparison, Contestant, Measure, Say
from mta_lab.config import Layer, plain, resolve, scale_layer
from mta_lab.devices import own

FORWARD, BOTH, MEMORY = "forward", "forward + backward", "memory"
BASELINE = "sdpa"
"""softmax attention without operations, by torch's own kernel"""
REFERENCE = "eager"
"""the readable implementation: the same operations in plain torch, with stored maps"""


class Shape(NamedTuple):
    """The sizes of queries, keys and values."""

    batch: int
    heads: int
    tokens: int
    width: int
    """width of a head"""

    def __str__(self) -> str:
        return f"B{self.batch} M{self.heads} T{self.tokens} d{self.width}"


SHAPES = (Shape(8, 8, 256, 32), Shape(4, 8, 512, 64), Shape(1, 16, 1024, 64))
CONVOLUTION = {"name": "key_query", "layers": "all"}
ALONE = {"name": "multi_token", "pre_softmax": [CONVOLUTION], "post_softmax": []}
OPERATIONS = {
    "mta": {**ALONE, "pre_softmax": [CONVOLUTION, "head_mixing"], "post_softmax": [CONVOLUTION, "head_mixing"]},
    "key-query": ALONE,
    "talking heads": "talking_heads",
    "differential": "differential",
}
"""name -> the attention whose operations are measured, as a sweep file sets it"""
TOKENS = (128, 256, 512, 1024, 2048, 4096)
KERNELS = ((1, 1), (4, 9), (6, 11), (8, 13), (12, 17))
"""(c_q, c_k); three of them are in the paper's Table 5"""
PATIENCE = 4.0  # seconds, most that one forward and backward in a plot may take


def here() -> Conditions:
    """Return the device that runs train on, and the dtype of its attention: bfloat16 on a GPU."""
    return Conditions(own.device(), torch.bfloat16 if own.on_gpu() else torch.float32)


def compare(laboratory: Laboratory, shapes: Sequence[Shape], rounds: int | None, say: Say) -> list[Comparison]:
    """Return time and memory of every implementation, for all shapes and operations."""
    cases = [(shape, name) for shape in shapes for name in OPERATIONS]
    comparisons = []
    for done, (shape, name) in enumerate(cases):
        say(f"{name}, {shape}", done, len(cases))
        config = attention(OPERATIONS[name])
        able, notes = contestants(config, shape)
        times = laboratory.call(_times, config, shape, tuple(able), rounds)
        memory = {impl: {MEMORY: laboratory.call(_memory, config, shape, impl)} for impl in able}
        comparisons.append(_comparison(name, config, shape, {i: times[i] | memory[i] for i in able}, notes))
    return comparisons


def against_tokens(
    laboratory: Laboratory, base: Shape, tokens: Sequence[int], rounds: int | None, say: Say
) -> list[Comparison]:
    """Return times of forward and backward with MTA's operations, at growing T.

    An implementation that would take longer than PATIENCE drops out.
    """
    growing = [base._replace(tokens=size) for size in tokens]
    return _course(laboratory, [("mta", attention(OPERATIONS["mta"]), shape) for shape in growing], rounds, say)


def against_kernels(laboratory: Laboratory, shape: Shape, rounds: int | None, say: Say) -> list[Comparison]:
    """Return times of forward and backward with a key-query convolution of growing size.

    It is before the softmax.
    """
    cases = []
    for kernel in KERNELS:
        config = attention({**ALONE, "pre_softmax": [{**CONVOLUTION, "kernel": kernel}]})
        cases.append((f"key-query {kernel[0]}x{kernel[1]}", config, shape))
    return _course(laboratory, cases, rounds, say)


def contestants(config: AttentionConfig, shape: Shape) -> tuple[list[str], tuple[str, ...]]:
    """Return the implementations that can compute these operations, and why others cannot.

    The baseline comes first.
    """
    ops = _ops(config, shape)
    notes, able = [], [BASELINE]
    for impl in IMPLEMENTATIONS:
        if impl == BASELINE:
            continue
        why_not = IMPLEMENTATIONS[impl].obstacle(ops.all(), here())
        if why_not is None:
            able.append(impl)
        else:
            notes.append(f"{impl} does not take part: {why_not}")
    return able, tuple(notes)


def attention(settings: Any) -> AttentionConfig:
    """Return an attention with these settings, as a sweep file says them."""
    return resolve([scale_layer("nano"), Layer("bench op", {"attention": settings})]).attention


def _course(
    laboratory: Laboratory, cases: Sequence[tuple[str, AttentionConfig, Shape]], rounds: int | None, say: Say
) -> list[Comparison]:
    comparisons: list[Comparison] = []
    late: dict[str, str] = {}
    for done, (name, config, shape) in enumerate(cases):
        say(f"{name}, {shape}", done, len(cases))
        able, notes = contestants(config, shape)
        able = [impl for impl in able if impl not in late]
        times = laboratory.call(_times, config, shape, tuple(able), rounds, (BOTH,))
        comparisons.append(_comparison(name, config, shape, times, (*notes, *late.values())))
        if done + 1 < len(cases):
            growth = (cases[done + 1][2].tokens / shape.tokens) ** 2
            for impl in able[1:]:  # the baseline never drops out
                if times[impl][BOTH].median * growth > PATIENCE:
                    late[impl] = f"{impl} stops at {shape}: more would take over {PATIENCE:.0f} s a pass"
    return comparisons


def _comparison(
    name: str,
    config: AttentionConfig,
    shape: Shape,
    measures: Mapping[str, Mapping[str, Measure]],
    notes: tuple[str, ...],
) -> Comparison:
    kernels = [op["kernel"] for op in plain(config).get("pre_softmax", ()) if "kernel" in op]
    settings: dict[str, Any] = {"operations": name, **shape._asdict(), "kernel": kernels[0] if kernels else None}
    reference = measures.get(REFERENCE, {})
    ran = tuple(
        Contestant(name=impl, measures=found, facts=_beside_reference(found, reference))
        for impl, found in measures.items()
    )
    return Comparison(title=f"{name}, {shape}", settings=settings, contestants=ran, notes=notes)


def _beside_reference(found: Mapping[str, Measure], reference: Mapping[str, Measure]) -> dict[str, str]:
    """Return the reference's time and memory over an implementation's, where both were measured."""
    return {
        f"{REFERENCE} {verb}": f"{reference[quantity].median / found[quantity].median:.1f} x"
        for quantity, verb in ((BOTH, "takes"), (MEMORY, "needs"))
        if quantity in reference and found[quantity].median
    }


def _times(
    config: AttentionConfig,
    shape: Shape,
    impls: Sequence[str],
    rounds: int | None,
    quantities: Sequence[str] = (FORWARD, BOTH),
) -> dict[str, dict[str, Measure]]:
    """Return seconds by implementation and measure, all taking turns in this process."""
    own.warm_up(own.device())
    works = {(impl, quantity): work(config, shape, impl, quantity) for impl in impls for quantity in quantities}
    taken = take_turns({"\n".join(key): work for key, work in works.items()}, rounds, own.device())
    return {impl: {quantity: taken[f"{impl}\n{quantity}"] for quantity in quantities} for impl in impls}


def _memory(config: AttentionConfig, shape: Shape, impl: str) -> Measure:
    """Return the memory that one forward and backward adds to this process."""
    own.warm_up(own.device())
    work(config, shape._replace(batch=1, tokens=8), impl, BOTH)()  # loads libraries and kernels
    return peak_growth(work(config, shape, impl, BOTH))


def work(config: AttentionConfig, shape: Shape, impl: str, quantity: str) -> Work:
    """Return a call of the implementation on random inputs.

    They have the layout [B, T, M, d] that projections give.
    """
    ops = MapOps() if impl == BASELINE else _ops(config, shape)
    assert IMPLEMENTATIONS[impl].obstacle(ops.all(), here()) is None
    for op in ops.all():
        op.to(own.device())
    query, key, value, upstream = (_random(shape) for _ in range(4))
    learned = [parameter for op in ops.all() for parameter in op.parameters()]
    leaves = [tensor.requires_grad_() for tensor in (query, key, value, *learned)]

    def attend() -> Tensor:
        with torch.autocast(query.device.type, torch.bfloat16, enabled=query.dtype == torch.bfloat16):
            return IMPLEMENTATIONS[impl].attend(query, key, value, ops, dropout=None)

    def forward() -> object:
        with torch.no_grad():
            return attend()

    return forward if quantity == FORWARD else lambda: torch.autograd.grad(attend(), leaves, upstream)


def _random(shape: Shape) -> Tensor:
    stored_BTMd = torch.randn(shape.batch, shape.tokens, shape.heads, shape.width)
    device, dtype, *_ = here()
    return stored_BTMd.to(device, dtype).transpose(1, 2)


def _ops(config: AttentionConfig, shape: Shape) -> MapOps:
    """Return the operations before and after the softmax.

    Their matrices are random: at identity, some would be sparse.
    """
    attention = config.build(width=shape.heads * shape.width, heads=shape.heads, layer=1, layers=1)
    assert isinstance(attention, Attention)
    ops = attention.map_ops()
    assert ops is not None, f"{config.name} has no operations to measure"
    for parameter in (parameter for op in ops.all() for parameter in op.parameters()):
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return ops
