"""The start of every parameter of every shipped variant in a model, against what is published.

A parameter that no line of LINES is about fails the test: a new one needs a line, with its source.
Random ones are looked at by many values: mean, standard deviation, where they are cut, and how far
from the distribution they are. Sections are those of the description of 2504.00927; "configs" are
those of its official code.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from components.attention import AttentionConfig, MultiToken
from components.score_ops import Joint, KeyQuery
from mta_lab.model import Decoder, build_model
from mta_lab.testing import oracle
from mta_lab.testing.subjects import SUBJECTS, Subject
from tests.config.helpers import config

WIDTH, HEADS, LAYERS = 64, 2, 3
HIDDEN = 176  # 2/3 of 4 x 64, rounded up to a multiple of 8
SIZES = (f"model.width={WIDTH}", f"model.heads={HEADS}", f"model.layers={LAYERS}", "model.context=8")
REST = ("model.vocabulary=300", "model.feed_forward_multiple=8")
ENOUGH = 2_000
"""values of a random parameter, from several seeds if need
be: the standard deviation is then known to 1.6 %"""


@dataclass(frozen=True)
class Spread:
    """The distribution that random values are drawn from."""

    mean: float
    std: float
    bound: float
    """how far from the mean a value may be"""
    reach: float
    """how far from it the farthest of ENOUGH values are at least, to either side"""
    below: Callable[[Tensor], Tensor]
    """the share of values below each given one"""


def normal(std: float, cut: float = 3.0) -> Spread:
    """A normal distribution around 0 with what lies beyond `cut` standard deviations left out."""
    kept, end = math.erf(cut / math.sqrt(2)), min(cut, 40.0)
    variance = 1 - 2 * end * math.exp(-(end**2) / 2) / math.sqrt(2 * math.pi) / kept
    reach = min(0.87 * cut, 2.8) * std

    def below(x: Tensor) -> Tensor:
        return 0.5 + (torch.special.ndtr(x / std) - 0.5) / kept

    return Spread(0.0, std * math.sqrt(variance), cut * std, reach, below)


def uniform(low: float, high: float) -> Spread:
    """All values between two bounds alike."""
    half = (high - low) / 2
    return Spread(low + half, half / math.sqrt(3), half, 0.99 * half, lambda x: (x - low) / (high - low))


Values = Callable[[int, int], float]
"""a kernel's value at the offsets a and b of query and key"""
KERNELS: dict[str, Spread | Values] = {  # "Where things go"; section 4.6; the configs
    "identity": lambda a, b: float(a == 0 and b == 0),
    "zero": lambda a, b: 0.0,
    "constant": lambda a, b: 0.3,
    "diagonal": lambda a, b: float(a == b),
    "uniform": uniform(-1.0, 1.0),
    "normal": normal(0.3),
}


@dataclass(frozen=True)
class Line:
    """Return the start of the parameters that match `pattern`: a number, a spread, or of maps."""

    pattern: str
    start: float | Spread | str
    source: str


ATTENTION, OPERATION = r"blocks\.\d\.attention", r"blocks\.\d\.attention\.(pre|post)_softmax\.\d"
LINES = (
    Line(r"embedding\.weight", normal(WIDTH**-0.5), "Baseline: cut at 3 std, std D^-0.5; tied to the output"),
    Line(rf"{ATTENTION}\.(query|key|value|output)\.weight", normal(WIDTH**-0.5), "Baseline"),
    Line(r"blocks\.\d\.feed_forward\.(gate|up)\.weight", normal(WIDTH**-0.5), "Baseline"),
    Line(r"blocks\.\d\.feed_forward\.down\.weight", normal(HIDDEN**-0.5), "Baseline: (hidden width)^-0.5"),
    Line(r"(blocks\.\d\.(attention|feed_forward)_)?norm\.weight", 1.0, "Baseline: RMSNorm; ones in the configs' code"),
    Line(rf"{ATTENTION}\.norm\.rms\.weight", 1.0, "Normalisation: RMSNorm, learned weight; ones in the configs' code"),
    Line(rf"{ATTENTION}\.norm\.gate\.weight", normal(WIDTH**-0.5), "Corrections: std (model width)^-0.5"),
    Line(rf"{ATTENTION}\.norm\.gate\.bias", 0.0, "Normalisation: b starts at 0"),
    Line(rf"{OPERATION}\.kernel", "kernel", "Where things go: kernels start as identity; other initialisations"),
    Line(rf"{OPERATION}\.matrix", "identity", "Head mixing: the head matrix starts as identity"),
    Line(rf"{OPERATION}\.lambda_(query|key)_[12]", normal(0.1, math.inf), "2410.05258, section 2.1: N(0, 0.1)"),
)  # fmt: skip
SHIPPED = [subject for subject in SUBJECTS if subject.variant.__module__.startswith("components.")]


def line_of(name: str) -> Line:
    found = [line for line in LINES if re.fullmatch(line.pattern, name)]
    assert len(found) == 1, f"{name}: {len(found)} lines say how it starts; write one in LINES, with its source"
    return found[0]


def model(attention: AttentionConfig, seed: int) -> Decoder:
    return build_model(replace(config(*SIZES, *REST), attention=attention), seed)


def kernels(attention: AttentionConfig, kernel: Tensor) -> Iterator[tuple[Tensor, Spread | float]]:
    """The parts of a kernel, and how each starts."""
    attention = attention.of_layer(3, layers=4)  # of a hybrid, the one with kernels
    assert isinstance(attention, MultiToken)
    (op,) = {op for op in (*attention.pre_softmax, *attention.post_softmax) if isinstance(op, KeyQuery | Joint)}
    if isinstance(op, Joint):
        groups, group = kernel.shape[:2]
        alone = torch.eye(group, dtype=torch.bool).expand(groups, -1, -1)
        yield kernel[~alone], 0.0  # what a head reads of others
        kernel = kernel[alone]
    start = KERNELS[op.init.name]
    if isinstance(start, Spread):
        yield kernel, start
        return
    for a in range(op.kernel[0]):
        for column, b in enumerate(oracle.key_offsets(op.kernel[1], getattr(op, "padding", "both"))):
            yield kernel[..., a, column], start(a, b)


def parts(attention: AttentionConfig, name: str, value: Tensor) -> Iterator[tuple[Tensor, Spread | float]]:
    """The values of a parameter, split by how they start."""
    start = line_of(name).start
    if start == "kernel":
        yield from kernels(attention, value)
    elif start == "identity":
        alone = torch.eye(value.shape[-1], dtype=torch.bool).expand_as(value)
        yield value[alone], 1.0
        yield value[~alone], 0.0
    else:
        assert not isinstance(start, str)
        yield value, start


@pytest.mark.parametrize("subject", SHIPPED, ids=str)
def test_every_parameter_starts_as_published(subject: Subject) -> None:
    drawn: dict[tuple[str, Spread], list[Tensor]] = defaultdict(list)  # layers together
    for seed in range(100):
        first_values = []
        lacking = [key for key, values in drawn.items() if sum(map(len, values)) < ENOUGH]
        if seed and not lacking:
            break
        for name, parameter in model(subject.attention, seed).named_parameters():
            for values, start in parts(subject.attention, name, parameter.detach()):
                if not isinstance(start, Spread):
                    assert (values == start).all(), f"{name} starts otherwise than at {start}: {values}"
                    continue
                first_values.append(round(((values.flatten()[0] - start.mean) / start.std).item(), 5))
                key = re.sub(r"^blocks\.\d", "blocks.*", name), start
                if not seed or key in lacking:
                    drawn[key].append(values.flatten())
        assert len({*first_values}) == len(first_values), "two parameters are drawn from one stream"
    for (names, start), found in drawn.items():
        assert_drawn_from(start, torch.cat(found).double(), names)


def assert_drawn_from(start: Spread, values: Tensor, what: str) -> None:
    """The values look like draws: each figure within what one set in ten thousand exceeds."""
    number, sorted_values = len(values), values.sort().values
    reached = [(start.mean - sorted_values[0]).item(), (sorted_values[-1] - start.mean).item()]
    steps = torch.arange(number, dtype=torch.float64) / number
    distance = (start.below(sorted_values) - steps).abs().max().item()
    assert values.mean().item() == pytest.approx(start.mean, abs=4 * start.std / math.sqrt(number)), what
    assert values.std().item() == pytest.approx(start.std, rel=4 / math.sqrt(2 * number)), what
    assert start.reach < min(reached) <= max(reached) <= start.bound * (1 + 1e-6), what
    assert distance < 2.2 / math.sqrt(number), what


def test_every_line_is_of_a_parameter_that_there_is() -> None:
    with torch.device("meta"):
        sizes = config(*SIZES, *REST).model
        names = {name for subject in SHIPPED for name, _ in Decoder(sizes, subject.attention).named_parameters()}
    assert {line_of(name) for name in names} == {*LINES}
    initialisations = {subject.variant.name for subject in SHIPPED if subject.variant.family == "kernel_init"}
    assert initialisations == {*KERNELS}
