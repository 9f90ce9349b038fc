"""The whole decoder against loops over the published equations: logits and all gradients.

In float64 by torch's own operations, and in float32 by whatever compiled operators there are.
"""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from components import FAMILIES
from components.attention import AttentionConfig, ByLayer, Differential, MultiToken, Softmax, TalkingHeads
from components.norms import Depth, Gate, LayerNorm, LayerNormBlock, NoNorm, Plain
from components.score_ops import HeadMixing, Joint, KeyQuery
from mta_lab.model import build_model
from mta_lab.testing import loops
from tests.config.helpers import config

HEADS, TOKENS, VOCABULARY, THETA = 4, 8, 257, 100_000.0
SIZES = (
    f"model.heads={HEADS}",
    "model.width=32",
    "model.layers=4",
    f"model.vocabulary={VOCABULARY}",
    "model.context=16",
)
MIX, EXACT = (HeadMixing(),), (KeyQuery(kernel=(3, 5), mask="exact"),)
MODELS: dict[str, AttentionConfig] = {
    "softmax": Softmax(),
    "talking heads": TalkingHeads(),
    "differential": Differential(),
    "multi-token": MultiToken(),
    "plain": MultiToken(pre_softmax=(KeyQuery(kernel=(2, 3)), *MIX), post_softmax=(), norm=Plain()),
    "depth": MultiToken(pre_softmax=(), post_softmax=(KeyQuery(kernel=(2, 3)),), norm=Depth()),
    "layer norm, exact": MultiToken(pre_softmax=EXACT, post_softmax=(), norm=LayerNorm()),
    "layer norm of the block": MultiToken(pre_softmax=(), post_softmax=(), norm=LayerNormBlock()),
    "joint": MultiToken(pre_softmax=(Joint(kernel=(2, 3)),), post_softmax=(), norm=NoNorm()),
    "by layer": ByLayer(
        layers=("every 4", (1,), "rest"),
        variants=(Differential(), MultiToken(pre_softmax=(), post_softmax=MIX, norm=LayerNormBlock()), Softmax()),
    ),
    "gate per channel": MultiToken(pre_softmax=(), post_softmax=(), norm=Gate(per="channel")),
}
DIGITS = {torch.float64: 1e-5, torch.float32: 1e-4}
"""of each tensor's largest value; the rotary table is float32 in both"""


def trained(attention: AttentionConfig) -> nn.Module:
    """A model after some imagined training, with rows so small that each norm's epsilon counts."""
    model = build_model(replace(config(*SIZES, "model.feed_forward_multiple=16"), attention=attention), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
            if name == "embedding.weight" or name.endswith(("value.weight", "output.weight", "down.weight")):
                parameter.mul_(0.05)
    return model


def outcome(model: nn.Module, logits_BTV: Tensor, upstream_BTV: Tensor) -> dict[str, Tensor]:
    leaves = dict(model.named_parameters())
    gradients = torch.autograd.grad(logits_BTV, [*leaves.values()], upstream_BTV.to(logits_BTV.dtype))
    return {"logits": logits_BTV.detach(), **dict(zip(leaves, gradients, strict=True))}


@pytest.mark.parametrize("name", MODELS)
def test_the_decoder_computes_what_is_published(name: str) -> None:
    model, generator = trained(MODELS[name]), torch.Generator().manual_seed(2)
    exact = copy.deepcopy(model).double()
    tokens_BT = torch.randint(VOCABULARY, (1, TOKENS), generator=generator)
    upstream_BTV = torch.randn(1, TOKENS, VOCABULARY, generator=generator, dtype=torch.float64)
    expected = outcome(exact, loops.decoder(MODELS[name], exact, tokens_BT, heads=HEADS, theta=THETA), upstream_BTV)
    for computed, dtype in ((exact, torch.float64), (model, torch.float32)):
        found = outcome(computed, computed(tokens_BT), upstream_BTV)
        off = {what: ((found[what] - value).abs().max() / value.abs().max()).item() for what, value in expected.items()}
        assert found["logits"].dtype == dtype
        assert max(off.values()) < DIGITS[dtype], {what: share for what, share in off.items() if share > DIGITS[dtype]}


def test_every_shipped_variant_is_in_a_decoder_here() -> None:
    compared = {"attention": {model.name for model in MODELS.values()}, "norms": set[str](), "score_ops": set[str]()}
    for model in MODELS.values():
        if isinstance(model, MultiToken):
            compared["norms"].add(model.norm.name)
            compared["score_ops"] |= {op.name for op in (*model.pre_softmax, *model.post_softmax)}
    for family, names in compared.items():
        variants = map(FAMILIES[family].get, FAMILIES[family].names())
        assert names == {variant.name for variant in variants if variant.__module__.startswith("components.")}, family
