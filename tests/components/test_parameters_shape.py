"""The parameters that each variant adds: section 4's counting, and Table 8's totals."""

import pytest
import torch

from components.attention import AttentionConfig, Differential, MultiToken, Softmax, TalkingHeads
from components.norms import Depth, Gate, LayerNorm, LayerNormBlock, NoNorm, NormConfig, Plain
from components.score_ops import HeadMixing, Joint, KeyQuery, ScoreOpConfig

WIDTH, HEADS, LAYERS = 1536, 16, 24  # the 880M model; a head is 96 wide


def count(config: AttentionConfig, layer: int) -> int:
    """The parameters of one layer, built without storage."""
    with torch.device("meta"):
        module = config.build(width=WIDTH, heads=HEADS, layer=layer, layers=LAYERS)
    return sum(parameter.numel() for parameter in module.parameters())


def added(config: AttentionConfig, layer: int = 3) -> int:
    """Return what a variant adds to a layer of plain attention, whose projections make 4 D^2."""
    return count(config, layer) - 4 * WIDTH**2


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (KeyQuery(kernel=(6, 11)), HEADS * 6 * 11),
        (KeyQuery(kernel=(1, 1)), HEADS),
        (KeyQuery(kernel=(6, 11), padding="right"), HEADS * 6 * 11),
        (HeadMixing(), HEADS**2),
        (HeadMixing(group=2), 8 * 2**2),
        (HeadMixing(group=8), 2 * 8**2),
        (HeadMixing(group=1), HEADS),
        (Joint(kernel=(6, 11)), HEADS**2 * 6 * 11),
        (Joint(kernel=(6, 11), group=2), 8 * 2**2 * 6 * 11),
    ],
    ids=["6x11", "1x1", "right", "all heads", "pairs", "eights", "single heads", "joint", "joint pairs"],
)
def test_operation(op: ScoreOpConfig, expected: int) -> None:
    assert added(MultiToken(pre_softmax=(op,), post_softmax=(), norm=NoNorm())) == expected
    assert added(MultiToken(pre_softmax=(), post_softmax=(op,), norm=NoNorm())) == expected
    assert added(MultiToken(pre_softmax=(op,), post_softmax=(op,), norm=NoNorm())) == 2 * expected


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        (NoNorm(), 0),
        (Plain(), 96),
        (Depth(), 96),
        (LayerNorm(), 96),
        (LayerNormBlock(), 96),
        (Gate(), 96 + 96 + 1),
        (Gate(per="channel"), 96 + 96**2 + 96),
    ],
)
def test_norm(norm: NormConfig, expected: int) -> None:
    assert added(MultiToken(pre_softmax=(), post_softmax=(), norm=norm)) == expected


@pytest.mark.parametrize(
    ("config", "published"),
    [
        (Softmax(), 876_553_728),
        (Differential(), 876_567_552),
        (TalkingHeads(), 876_566_016),
        (MultiToken(), 876_583_320),
    ],
    ids=lambda value: value.name if isinstance(value, AttentionConfig) else str(value),
)
def test_published_totals(config: AttentionConfig, published: int) -> None:
    """In Table 8, variants differ in attention only: totals differ by what it adds."""
    transformer = 876_553_728
    assert transformer + sum(added(config, layer) for layer in range(1, LAYERS + 1)) == published
