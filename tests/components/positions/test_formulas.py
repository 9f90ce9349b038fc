"""Positions are those of transformers (`modeling_rope_utils`, 5.2) and of equations in float64.

Shapes: T tokens, M heads, d head width, c = d / 2 channel pairs.
"""

import math

import pytest
import torch
from torch import Tensor

from components import FAMILIES, ComponentError
from components.attention import MultiToken, bias_scores
from components.norms import NoNorm
from components.positions import (
    Alibi,
    Learned,
    NoPositions,
    PositionConfig,
    Rotary,
    RotaryLinear,
    RotaryLlama3,
    RotaryNtk,
    RotaryYarn,
)
from components.score_ops import HeadMixing

WIDTH = 16  # of a head
Angles = list[float]


def plain(theta: float) -> Angles:
    return [theta ** (-2 * i / WIDTH) for i in range(WIDTH // 2)]


def linear(theta: float, factor: float) -> Angles:
    """`_compute_linear_scaling_rope_parameters`."""
    return [angle / factor for angle in plain(theta)]


def ntk(theta: float, factor: float) -> Angles:
    """`_compute_dynamic_ntk_parameters` at a sequence of `factor` times its context."""
    return plain(theta * factor ** (WIDTH / (WIDTH - 2)))


def llama3(theta: float, factor: float, low: float, high: float, old: float) -> Angles:
    """`_compute_llama3_parameters`, pair by pair."""
    found = []
    for angle in plain(theta):
        wavelength = 2 * math.pi / angle
        smooth = (old / wavelength - low) / (high - low)
        if wavelength < old / high:
            found.append(angle)
        elif wavelength > old / low:
            found.append(angle / factor)
        else:
            found.append((1 - smooth) * angle / factor + smooth * angle)
    return found


def yarn(theta: float, factor: float, slow: float, fast: float, old: float) -> Angles:
    """`_compute_yarn_parameters`, pair by pair."""

    def dimension(rotations: float) -> float:
        return WIDTH * math.log(old / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    low, high = max(math.floor(dimension(fast)), 0), min(math.ceil(dimension(slow)), WIDTH - 1)
    ramp = [min(1.0, max(0.0, (i - low) / (high - low))) for i in range(WIDTH // 2)]
    return [angle / factor * share + angle * (1 - share) for angle, share in zip(plain(theta), ramp, strict=True)]


CASES: dict[str, tuple[Rotary, Angles, float]] = {
    "rotary": (Rotary(), plain(1e5), 1.0),
    "another base": (Rotary(theta=500.0), plain(500.0), 1.0),
    "linear": (RotaryLinear(factor=4.0), linear(1e5, 4.0), 1.0),
    "ntk": (RotaryNtk(theta=1e4, factor=8.0), ntk(1e4, 8.0), 1.0),
    "llama3": (
        RotaryLlama3(theta=1e4, factor=8.0, trained_context=256),
        llama3(1e4, 8.0, 1.0, 4.0, 256.0),
        1.0,
    ),
    "llama3, other bounds": (RotaryLlama3(low=2.0, high=9.0), llama3(1e5, 2.0, 2.0, 9.0, 2048.0), 1.0),
    "yarn": (RotaryYarn(factor=4.0), yarn(1e5, 4.0, 1.0, 32.0, 1024.0), 0.1 * math.log(4.0) + 1.0),
    "yarn, other bounds": (
        RotaryYarn(theta=1e4, factor=4.0, low=2.0, high=16.0, trained_context=300, attention_factor=1.5),
        yarn(1e4, 4.0, 2.0, 16.0, 300.0),
        1.5,
    ),
}
"""positions, the radians by which a token turns each pair at a context of 4096, and a magnitude"""


@pytest.mark.parametrize("case", CASES)
def test_turns_are_those_of_the_formulas(case: str) -> None:
    positions, angles, magnitude = CASES[case]
    angles_Tc = torch.outer(torch.arange(40, dtype=torch.float64), torch.tensor(angles, dtype=torch.float64))
    expected = magnitude * torch.stack((angles_Tc.cos(), angles_Tc.sin()), dim=1)
    found = positions.turns(context=4096, head_width=WIDTH)[:40].double()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_scaled_turns_are_those_of_transformers() -> None:
    rope = pytest.importorskip("transformers.modeling_rope_utils")
    llama = pytest.importorskip("transformers").LlamaConfig
    bands = {"factor": 8.0, "original_max_position_embeddings": 512, "rope_theta": 1e4}
    given: dict[str, tuple[Rotary, dict[str, float]]] = {
        "linear": (RotaryLinear(theta=1e4, factor=8.0), {"factor": 8.0, "rope_theta": 1e4}),
        "llama3": (
            RotaryLlama3(theta=1e4, factor=8.0, trained_context=512),
            {**bands, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
        ),
        "yarn": (RotaryYarn(theta=1e4, factor=8.0, trained_context=512), bands),
    }
    for kind, (positions, settings) in given.items():
        parameters = {"rope_type": kind, **settings}
        config = llama(hidden_size=64, num_attention_heads=4, max_position_embeddings=4096, rope_parameters=parameters)
        frequencies, magnitude = rope.ROPE_INIT_FUNCTIONS[kind](config, device=None)
        torch.testing.assert_close(positions.frequencies(context=4096, head_width=WIDTH), frequencies)
        assert positions.magnitude == pytest.approx(magnitude)


def slope(head: int, heads: int) -> float:
    """The authors' `get_slopes`, for a head from 0."""
    below = 2 ** math.floor(math.log2(heads))
    if head < below:
        return float(2 ** (-8 * (head + 1) / below))
    return slope(2 * (head - below), 2 * below)


@pytest.mark.parametrize("heads", [1, 2, 4, 6, 12])
def test_alibi_is_its_equation(heads: int) -> None:
    """Outputs and gradients: softmax(q k / sqrt(d) - m (i - j)) v, by loops."""
    layer = MultiToken(pre_softmax=(), post_softmax=(), norm=NoNorm()).build(width=12, heads=heads, layer=1, layers=1)
    bias_scores(layer, Alibi().bias(heads=heads, layer=1))
    layer, width, tokens = layer.double(), 12 // heads, 7
    q, k, v = (torch.randn(1, heads, tokens, width, dtype=torch.float64, requires_grad=True) for _ in range(3))

    def by_loops() -> Tensor:
        rows = []
        for head in range(heads):
            for i in range(tokens):
                logits = [
                    q[0, head, i] @ k[0, head, j] / width**0.5 - slope(head, heads) * (i - j) for j in range(i + 1)
                ]
                rows.append(torch.stack(logits).softmax(0) @ v[0, head, : i + 1])
        return torch.stack(rows).view(1, heads, tokens, width)

    found, expected = layer.read(q, k, v), by_loops()
    upstream = torch.randn_like(expected)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    for one, other in zip(
        torch.autograd.grad(found, (q, k, v), upstream), torch.autograd.grad(expected, (q, k, v), upstream), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_alibi_acts_after_the_operations_on_logits() -> None:
    """So that no kernel changes its slopes."""
    layer = MultiToken(pre_softmax=(HeadMixing(),), post_softmax=(), norm=NoNorm()).build(
        width=8, heads=2, layer=1, layers=1
    )
    bias_scores(layer, Alibi().bias(heads=2, layer=1))
    assert [type(op).__name__ for op in layer.map_ops().all()] == ["HeadMixingMatrix", "LinearBias"]


def test_learned_positions_are_rows_of_a_table() -> None:
    added = Learned().added(context=5, width=3)
    assert torch.equal(added(torch.tensor([4, 0])), added.get_parameter("weight")[[4, 0]])


def test_every_shipped_position_has_a_formula() -> None:
    with_formula: set[PositionConfig] = {Alibi(), Learned(), NoPositions()}
    named = {one.name for one in with_formula} | {positions.name for positions, *_ in CASES.values()}
    assert named == set(FAMILIES["positions"].names())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"factor": 0.5}, "factor: got 0.5, allowed: 1 or more"),
        ({"theta": 1.0}, "theta: got 1.0, allowed: more than 1"),
        ({"low": 40.0}, r"low: got 40.0, allowed: more than 0, and below high \(32.0\)"),
        ({"trained_context": 0}, "trained_context: got 0, allowed: 1 or more"),
        ({"attention_factor": 0.0}, "attention_factor: got 0.0, allowed: more than 0"),
    ],
)
def test_a_setting_that_no_positions_have_is_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ComponentError, match=said):
        RotaryYarn(**settings)  # type: ignore[arg-type]
