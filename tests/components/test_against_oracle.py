"""Every shipped variant against the loops of `oracle.py`: outputs and all gradients.

All in float64 with random kernels, matrices and weights, on shapes that divide nothing.
Shapes: B batch, T tokens, D model width, M heads, d head width.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import get_args

import pytest
import torch
from torch import nn

from components import FAMILIES
from components.attention import (
    AttentionConfig,
    ByLayer,
    Differential,
    MultiToken,
    Softmax,
    TalkingHeads,
    rotary_table,
)
from components.attention.differential import PairDifference
from components.norms import Depth, Gate, LayerNorm, LayerNormBlock, NoNorm, NormConfig, Plain
from components.score_ops import HeadMixing, Joint, KeyQuery, ScoreOpConfig
from components.score_ops.head_mixing import Group
from components.score_ops.key_query import Mask, Padding
from mta_lab.testing import loops, oracle

CPU = torch.device("cpu")
ROTARY_THETA = 100_000.0
MIX = HeadMixing()
KQ = KeyQuery(layers="all", kernel=(2, 9))
EXACT = KeyQuery(layers="all", kernel=(3, 4), mask="exact")
LEFT = KeyQuery(layers="all", kernel=(2, 3), padding="left")
RIGHT = KeyQuery(layers="all", kernel=(3, 2), mask="exact", padding="right")
JOINT = Joint(layers="all", kernel=(2, 4), group=2)
ORDERS: dict[str, tuple[tuple[ScoreOpConfig, ...], tuple[ScoreOpConfig, ...]]] = {
    "nothing": ((), ()),
    "pre kq": ((KQ,), ()),
    "pre kq head": ((KQ, MIX), ()),
    "pre head kq": ((MIX, KQ), ()),
    "pre head": ((MIX,), ()),
    "pre kq kq": ((KQ, KQ), ()),
    "post kq head": ((), (KQ, MIX)),
    "post head kq": ((), (MIX, KQ)),
    "both": ((KQ, MIX), (KQ, MIX)),
    "pre exact": ((EXACT,), ()),
    "pre head exact": ((MIX, EXACT), ()),
    "pre exact kq head": ((EXACT, KQ, MIX), ()),
    "both exact": ((EXACT, MIX), (MIX, EXACT, KQ)),
    "left and right": ((RIGHT, LEFT), (RIGHT, MIX, LEFT)),
    "pre joint": ((JOINT,), ()),
    "post joint": ((), (JOINT,)),
    "pre head joint kq": ((MIX, JOINT, KQ), ()),
    "both joint": ((JOINT, MIX), (KQ, JOINT)),
}
NORMS: tuple[NormConfig, ...] = (NoNorm(), Plain(), Depth(), LayerNorm(), LayerNormBlock(), Gate(), Gate(per="channel"))
VARIANTS: tuple[AttentionConfig, ...] = (Softmax(), MultiToken(), TalkingHeads(), Differential(), ByLayer())


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size of one case; `layer` is counted from 1 in a model of 24."""

    heads: int = 4
    head_width: int = 6
    tokens: int = 5
    layer: int = 3


def pre_or_post(place: str, op: ScoreOpConfig) -> MultiToken:
    """Multi-token attention with one operation, before or after the softmax."""
    return MultiToken(pre_softmax=(op,) * (place == "pre"), post_softmax=(op,) * (place == "post"), norm=NoNorm())


def check(config: AttentionConfig, shape: Shape, *, rotary: bool = False, device: torch.device = CPU) -> None:
    """Compare output and gradients of `config`'s module with the loops, all parameters random.

    The loops compute on the CPU, the module on `device`.
    """
    torch.manual_seed(7)
    width = shape.heads * shape.head_width
    module = config.build(width=width, heads=shape.heads, layer=shape.layer, layers=24).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    x_BTD = torch.randn(2, shape.tokens, width, dtype=torch.float64, requires_grad=True)
    angles = oracle.rotary_angles(shape.tokens, shape.head_width, ROTARY_THETA) if rotary else None
    turns = None if angles is None else torch.stack((angles.cos(), angles.sin()), dim=1).to(device)
    there, there_BTD = deepcopy(module).to(device), x_BTD.detach().to(device).requires_grad_()
    actual = there(there_BTD, turns)
    expected = loops.layer(config, module, x_BTD, heads=shape.heads, layer=shape.layer, angles=angles)
    torch.testing.assert_close(actual.cpu(), expected, rtol=1e-9, atol=1e-9)

    upstream = torch.randn_like(expected)
    gradients, references = (
        dict(zip(inputs, torch.autograd.grad(out, list(inputs.values()), upstream.to(out.device)), strict=True))
        for out, inputs in (
            (actual, {"x": there_BTD, **dict(there.named_parameters())}),
            (expected, {"x": x_BTD, **dict(module.named_parameters())}),
        )
    )
    gradients = {name: gradient.cpu() for name, gradient in gradients.items()}
    torch.testing.assert_close(gradients, references, rtol=1e-9, atol=1e-9)  # names the parameter that differs


@pytest.mark.parametrize("rotary", [False, True], ids=["bare", "rotary"])
@pytest.mark.parametrize(
    "shape", [Shape(tokens=1), Shape(tokens=7, heads=2, head_width=10)], ids=["1 token", "7 tokens"]
)
@pytest.mark.parametrize("config", VARIANTS, ids=lambda config: config.name)
def test_variant(config: AttentionConfig, shape: Shape, rotary: bool, device: torch.device) -> None:
    check(config, shape, rotary=rotary, device=device)


@pytest.mark.parametrize("layer", [1, 2, 24])
def test_differential_in_other_layers(layer: int) -> None:
    check(Differential(), Shape(layer=layer))


@pytest.mark.parametrize("order", ORDERS)
def test_order_of_operations(order: str, device: torch.device) -> None:
    pre, post = ORDERS[order]
    check(MultiToken(pre_softmax=pre, post_softmax=post, norm=NoNorm()), Shape(), device=device)


@pytest.mark.parametrize("mask", ["double", "exact"])
@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize("tokens", [1, 5, 13])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 9), (6, 11), (4, 4)], ids=lambda kernel: f"{kernel[0]}x{kernel[1]}")
def test_key_query_kernel(kernel: tuple[int, int], tokens: int, place: str, mask: Mask) -> None:
    check(pre_or_post(place, KeyQuery(layers="all", kernel=kernel, mask=mask)), Shape(heads=2, tokens=tokens))


@pytest.mark.parametrize("mask", get_args(Mask))
@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize("tokens", [1, 7])
@pytest.mark.parametrize("kernel", [(1, 1), (1, 2), (3, 4), (2, 9)], ids=lambda kernel: f"{kernel[0]}x{kernel[1]}")
def test_key_padding(kernel: tuple[int, int], tokens: int, place: str, padding: Padding, mask: Mask) -> None:
    op = KeyQuery(layers="all", kernel=kernel, mask=mask, padding=padding)
    check(pre_or_post(place, op), Shape(heads=2, tokens=tokens))


@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize("tokens", [1, 6])
@pytest.mark.parametrize(("heads", "group", "kernel"), [(2, 1, (2, 3)), (4, 2, (3, 4)), (3, "all", (1, 5))])
def test_joint_kernel(heads: int, group: Group, kernel: tuple[int, int], tokens: int, place: str) -> None:
    op = Joint(layers="all", kernel=kernel, group=group)
    check(pre_or_post(place, op), Shape(heads=heads, tokens=tokens))


@pytest.mark.parametrize(("place", "same"), [("pre", False), ("post", True)])
def test_exact_masking_differs_from_double_before_the_softmax_only(place: str, same: bool) -> None:
    outputs = []
    for mask in get_args(Mask):
        torch.manual_seed(3)
        op = KeyQuery(layers="all", kernel=(3, 4), mask=mask)
        module = pre_or_post(place, op).build(width=12, heads=2, layer=1, layers=1).double()
        nn.init.normal_(module.get_parameter(f"{place}_softmax.0.kernel"))
        outputs.append(module(torch.randn(1, 9, 12, dtype=torch.float64)))
    assert torch.allclose(*outputs, rtol=0, atol=1e-12) is same


@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize(("heads", "group"), [(2, 2), (4, 1), (4, "all"), (6, 3)])
def test_head_group(heads: int, group: Group, place: str) -> None:
    check(pre_or_post(place, HeadMixing(group=group)), Shape(heads=heads, head_width=10))


@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize("group", [1, 2, 4, 8, 16, "all"])
def test_head_group_of_the_papers_16_heads(group: Group, place: str) -> None:
    """Figure 6's c_h."""
    check(pre_or_post(place, HeadMixing(group=group)), Shape(heads=16, head_width=2, tokens=4))


@pytest.mark.parametrize("layer", [1, 2, 24])
@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: norm.name)
def test_norm(norm: NormConfig, layer: int, device: torch.device) -> None:
    config = MultiToken(pre_softmax=(MIX,), post_softmax=(), norm=norm)
    check(config, Shape(layer=layer, head_width=10), device=device)


@pytest.mark.parametrize("layer", [7, 8])
def test_operations_stand_on_their_layers_only(layer: int) -> None:
    """'every 4' of 24 layers stands in layer 7, not in layer 8, where plain attention remains."""
    check(MultiToken(pre_softmax=(KeyQuery(kernel=(2, 3)),), post_softmax=(), norm=NoNorm()), Shape(layer=layer))


def test_rotary_table() -> None:
    angles = oracle.rotary_angles(13, 10, ROTARY_THETA)
    table = rotary_table(13, 10, ROTARY_THETA)
    torch.testing.assert_close(table[:, 0].double(), angles.cos(), rtol=0, atol=1e-5)
    torch.testing.assert_close(table[:, 1].double(), angles.sin(), rtol=0, atol=1e-5)


def test_every_shipped_variant_has_a_case() -> None:
    """A shipped component that no case above compares with the loops is missing its reference."""
    cases: dict[str, set[str]] = {
        "attention": {config.name for config in VARIANTS},
        "norms": {norm.name for norm in NORMS},
        "score_ops": {op.name for lists in ORDERS.values() for ops in lists for op in ops},
    }
    for family, compared in cases.items():
        variants = map(FAMILIES[family].get, FAMILIES[family].names())
        shipped = {variant.name for variant in variants if variant.__module__.startswith("components.")}
        assert shipped == compared, f"{family}: write a loop in oracle.py and a case for each"


def test_lambda_is_as_precise_under_autocast() -> None:
    """In bfloat16 it would move in steps of 0.004, and every gradient of its vectors with it."""
    difference = PairDifference(heads=2, width=64, layer=1)
    with torch.autocast("cpu", torch.bfloat16):
        under = difference.difference_weight()
    assert torch.equal(under, difference.difference_weight())
