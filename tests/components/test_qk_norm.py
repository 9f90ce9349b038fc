"""QK-norm: a layer whose queries and keys are normed per head, as equations in float64 have them.

Shapes: B batch, T tokens, D model width, d head width.
"""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components import FAMILIES, ComponentError
from components.attention import Attention, Softmax, norm_heads, rotary_table, share_keys
from components.initialise import initialise
from mta_lab.config import fingerprint, plain
from mta_lab.errors import UserError
from mta_lab.huggingface.settings import llama_settings
from mta_lab.model import count_parameters
from tests.config.helpers import config

HEADS, WIDTH, HEAD_WIDTH, TOKENS = 4, 32, 8, 9


def layer_of(attention: Any, *, normed: bool = True) -> Attention:
    """Return a layer after some imagined training, in float64."""
    layer = attention.build(width=WIDTH, heads=HEADS, layer=4, layers=4)
    share_keys(layer, 2)
    if normed:
        norm_heads(layer)
    initialise(layer, 0)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))), alpha=0.2)
    return layer.double().eval()  # type: ignore[no-any-return]


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x_BTD, upstream_BTD = torch.randn(2, 2, TOKENS, WIDTH, generator=generator, dtype=torch.float64)
    return x_BTD, upstream_BTD, rotary_table(TOKENS, HEAD_WIDTH, theta=100.0).double()


def by_hand(layer: Attention, x_BTD: Tensor, rotary: Tensor) -> Tensor:
    """Project, norm, turn by complex numbers, and attend, with keys that two heads share."""
    weights, turns_Tc = dict(layer.named_parameters()), torch.complex(rotary[:, 0], rotary[:, 1])

    def heads(name: str) -> Tensor:
        return (x_BTD @ weights[f"{name}.weight"].T).unflatten(-1, (-1, HEAD_WIDTH)).transpose(1, 2)

    def normed(name: str) -> Tensor:
        z_BMTd = heads(name)
        z_BMTd = z_BMTd / (z_BMTd.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weights[f"{name}_norm.weight"]
        turned_BMTc = torch.complex(*z_BMTd.chunk(2, dim=-1)) * turns_Tc
        return torch.cat((turned_BMTc.real, turned_BMTc.imag), dim=-1)

    key, value = (z.repeat_interleave(2, dim=1) for z in (normed("key"), heads("value")))
    y_BMTd = F.scaled_dot_product_attention(normed("query"), key, value, is_causal=True)
    return y_BMTd.transpose(1, 2).flatten(2) @ weights["output.weight"].T


def test_a_layer_computes_the_equations() -> None:
    layer, (x_BTD, upstream_BTD, rotary) = layer_of(Softmax()), inputs()
    given, found = [x_BTD.requires_grad_(), *layer.parameters()], []
    for y_BTD in (layer(x_BTD, rotary), by_hand(layer, x_BTD, rotary)):
        found.append([y_BTD, *torch.autograd.grad((y_BTD * upstream_BTD).sum(), given)])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-11)


class Heads(nn.RMSNorm):
    """Torch's norm of each head, behind a projection."""

    def forward(self, z_BTD: Tensor) -> Tensor:
        return super().forward(z_BTD.unflatten(-1, (-1, HEAD_WIDTH))).flatten(-2)


@pytest.mark.parametrize("name", FAMILIES["attention"].names())
def test_every_variant_reads_normed_queries_and_keys(name: str) -> None:
    """As the same layer does with torch's norms behind its projections."""
    attention = FAMILIES["attention"].get(name)()
    layer, other, (x_BTD, _, rotary) = layer_of(attention), layer_of(attention, normed=False), inputs()
    usual_BTD = other(x_BTD, rotary)
    for part in ("query", "key"):
        norm = Heads(HEAD_WIDTH, eps=1e-5, dtype=torch.float64)
        norm.load_state_dict(layer.get_submodule(f"{part}_norm").state_dict())
        setattr(other, part, nn.Sequential(other.get_submodule(part), norm))
    torch.testing.assert_close(layer(x_BTD, rotary), other(x_BTD, rotary), rtol=0, atol=1e-12)
    assert not torch.allclose(layer(x_BTD, rotary), usual_BTD)


def test_queries_stay_in_the_dtype_of_autocast() -> None:
    layer, seen = layer_of(Softmax()).float(), list[torch.dtype]()
    layer.read = lambda *given: (seen.extend(z.dtype for z in given[:3]), given[0])[1]  # type: ignore[method-assign]
    with torch.autocast("cpu", torch.bfloat16):
        layer(inputs()[0].float(), inputs()[2].float())
    assert seen == [torch.bfloat16] * 3


def test_it_is_another_run_and_none_of_before_is_stale() -> None:
    usual, normed = config(), config("model.qk_norm=true")
    assert config("model.qk_norm=false") == usual
    assert "qk_norm" not in plain(usual)["model"]
    assert fingerprint(usual, "") != fingerprint(normed, "")
    width = normed.model.width // normed.model.heads
    assert count_parameters(normed) - count_parameters(usual) == 2 * width * normed.model.layers


def test_what_cannot_have_it_is_refused_in_one_line() -> None:
    class Own(Attention):
        def forward(self, x_BTD: Any, rotary: Any = None, cache: Any = None) -> Tensor:
            raise AssertionError("it is not asked")

    for layer, name in ((nn.Linear(4, 4), "Linear"), (object.__new__(Own), "Own")):
        with pytest.raises(ComponentError, match=f"qk_norm: got true, but {name} makes queries and keys itself"):
            norm_heads(layer)
    with pytest.raises(UserError, match=r"model.qk_norm: true is not in the model of an export"):
        llama_settings(config("model.qk_norm=true"))
