"""Layer-norm scaling on the block: a model's pre-norms are scaled only where it asks for that.

Shapes: B batch, T tokens, D model width.
"""

import math

import pytest
import torch
from torch import Tensor

from components import FAMILIES
from components.attention import MultiToken
from components.norms import LayerNorm, LayerNormBlock, NormConfig, Plain
from components.norms.rms import rms_norm
from mta_lab.model import Block, Decoder, build_model
from tests.config.helpers import config

SIZES = ("model.width=32", "model.vocabulary=300", "model.feed_forward_multiple=32", "model.context=16")
BLOCK_NORM = "attention={name: multi_token, norm: layer_norm_block}"
OTHERS = [
    *(f"attention={name}" for name in FAMILIES["attention"].names()),
    *(f"attention={{name: multi_token, norm: {name}}}" for name in ("none", "plain", "depth", "layer_norm")),
]


def model(attention: str, seed: int = 0) -> Decoder:
    return build_model(config(*SIZES, attention), seed)


def blocks(decoder: Decoder) -> list[Block]:
    return [block for block in decoder.blocks if isinstance(block, Block)]


def by_hand(block: Block, x_BTD: Tensor, rotary: Tensor, scale: float) -> Tensor:
    """A block whose pre-norms are both times `scale`, an operation of its own."""
    first, second = block.attention_norm, block.feed_forward_norm
    x_BTD = x_BTD + block.attention(rms_norm(x_BTD, first.weight) * scale, rotary)
    return x_BTD + block.feed_forward(rms_norm(x_BTD, second.weight) * scale)


def inputs(decoder: Decoder) -> tuple[Tensor, Tensor]:
    x_BTD = torch.randn(2, 12, 32, generator=torch.Generator().manual_seed(1))
    return x_BTD, decoder.get_buffer("rotary")[:12]


def test_the_pre_norms_shrink_with_the_layers_root() -> None:
    decoder = model(BLOCK_NORM)
    x_BTD, rotary = inputs(decoder)
    for layer, block in enumerate(blocks(decoder), 1):
        for norm in (block.attention_norm, block.feed_forward_norm):
            torch.nn.init.normal_(norm.weight)
        expected = by_hand(block, x_BTD, rotary, 1 / math.sqrt(layer))
        torch.testing.assert_close(block(x_BTD, rotary), expected, rtol=0, atol=1e-5)
        if layer > 1:
            assert not torch.allclose(block(x_BTD, rotary), by_hand(block, x_BTD, rotary, 1.0), rtol=0, atol=1e-3)


def test_the_heads_norm_is_plain_and_the_parameters_are_its() -> None:
    scaled, plain = model(BLOCK_NORM), model("attention={name: multi_token, norm: plain}")
    states = [decoder.state_dict() for decoder in (scaled, plain)]
    torch.testing.assert_close(*states, rtol=0, atol=0)
    for block, other in zip(blocks(scaled), blocks(plain), strict=True):
        x_BTD, rotary = inputs(scaled)
        assert torch.equal(block.attention(x_BTD, rotary), other.attention(x_BTD, rotary))


@pytest.mark.parametrize("attention", OTHERS)
def test_other_models_keep_every_bit(attention: str) -> None:
    """Against a block that knows of no scale."""
    decoder = model(attention)
    x_BTD, rotary = inputs(decoder)
    for block in blocks(decoder):
        assert torch.equal(block(x_BTD, rotary), by_hand(block, x_BTD, rotary, 1.0))


@pytest.mark.parametrize("norm", [Plain(), LayerNorm()])
def test_only_the_block_reading_asks_for_it(norm: NormConfig) -> None:
    for layer in (1, 4, 24):
        assert MultiToken(norm=norm).pre_norm_scale(layer) == 1.0
        assert MultiToken(norm=LayerNormBlock()).pre_norm_scale(layer) == pytest.approx(layer**-0.5)
