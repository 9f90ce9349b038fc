"""Residual norms against torch's encoder layer with the same weights: outputs and gradients.

Shapes: B batch, T tokens, D model width.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from components.residual_norms import Post, Pre, ResidualNormConfig, Sandwich
from mta_lab.config import RunConfig
from mta_lab.model import Block, build_model
from tests.config.helpers import config

WIDTH, HEADS, HIDDEN, TOKENS = 16, 4, 64, 7
SIZES = (f"model.width={WIDTH}", f"model.heads={HEADS}", "model.vocabulary=260", "model.feed_forward_multiple=16")
Encoder = nn.TransformerEncoderLayer


class SandwichLayer(Encoder):
    """Torch's sublayers between norms; torch has no such layer."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.after1, self.after2 = (nn.LayerNorm(WIDTH, dtype=torch.float64) for _ in range(2))

    def forward(self, x_BTD: Tensor, mask_TT: Tensor) -> Tensor:  # type: ignore[override]
        x_BTD = x_BTD + self.after1(self._sa_block(self.norm1(x_BTD), mask_TT, None))
        joined_BTD: Tensor = x_BTD + self.after2(self._ff_block(self.norm2(x_BTD)))
        return joined_BTD


LAYERS: dict[type[ResidualNormConfig], Callable[..., nn.Module]] = {
    Pre: lambda **settings: Encoder(**settings, norm_first=True),
    Post: lambda **settings: Encoder(**settings, norm_first=False),
    Sandwich: SandwichLayer,
}
NORMS = {
    **{"attention_norm": "norm1", "feed_forward_norm": "norm2"},
    **{"attention_norm.before": "norm1", "attention_norm.after": "after1"},
    **{"feed_forward_norm.before": "norm2", "feed_forward_norm.after": "after2"},
}
"""our norms by the names of torch's layer"""


def run_of(name: str, norm: str) -> RunConfig:
    norms = f"model.residual_norms={{name: {name}, norm: {norm}}}"
    return config(*SIZES, norms, "model.feed_forward=gelu", "model.positions=none", "model.layers=1")


def with_our_weights(block: Block, theirs: nn.Module) -> nn.Module:
    """Return torch's layer with the weights of a block and no biases but those of norms."""
    parts, state = dict(block.named_parameters()), theirs.state_dict()
    ours = {
        "self_attn.in_proj_weight": torch.cat(
            [parts[f"attention.{name}.weight"] for name in ("query", "key", "value")]
        ),
        "self_attn.out_proj.weight": parts["attention.output.weight"],
        "linear1.weight": parts["feed_forward.up.weight"],
        "linear2.weight": parts["feed_forward.down.weight"],
    }
    for name, value in parts.items():
        prefix, _, last = name.rpartition(".")
        if prefix in NORMS:
            ours[f"{NORMS[prefix]}.{last}"] = value
    theirs.load_state_dict({name: ours.get(name, torch.zeros_like(value)).detach() for name, value in state.items()})
    return theirs


@pytest.mark.parametrize("norm", ["rms", "layer"])
@pytest.mark.parametrize("variant", LAYERS)
def test_a_block_computes_what_torchs_layer_does(variant: type[ResidualNormConfig], norm: str) -> None:
    model = build_model(run_of(variant.name, norm), seed=0).double()
    block, generator = model.blocks[0], torch.Generator().manual_seed(1)
    assert isinstance(block, Block)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    settings = {"dim_feedforward": HIDDEN, "dropout": 0.0, "activation": "gelu", "batch_first": True}
    theirs = LAYERS[variant](d_model=WIDTH, nhead=HEADS, dtype=torch.float64, **settings)
    if norm == "rms":
        for name in {*NORMS.values()} & {name for name, _ in theirs.named_children()}:
            setattr(theirs, name, nn.RMSNorm(WIDTH, eps=1e-5, dtype=torch.float64))
    theirs = with_our_weights(block, theirs)
    x_BTD, upstream_BTD = torch.randn(2, 2, TOKENS, WIDTH, generator=generator, dtype=torch.float64)
    found, expected = x_BTD.clone().requires_grad_(), x_BTD.clone().requires_grad_()
    y_BTD = block(found, None)
    theirs_BTD = theirs(expected, nn.Transformer.generate_square_subsequent_mask(TOKENS, dtype=torch.float64))
    torch.testing.assert_close(y_BTD, theirs_BTD, rtol=0, atol=1e-12)
    (y_BTD * upstream_BTD).sum().backward()
    (theirs_BTD * upstream_BTD).sum().backward()
    torch.testing.assert_close(found.grad, expected.grad, rtol=0, atol=1e-12)
    for name, parameter in block.named_parameters():
        prefix, _, last = name.rpartition(".")
        if prefix in NORMS:
            their = theirs.get_parameter(f"{NORMS[prefix]}.{last}")
            torch.testing.assert_close(parameter.grad, their.grad, rtol=0, atol=1e-12)


def test_all_that_ship_are_compared() -> None:
    assert {variant.name for variant in LAYERS} == {"pre", "post", "sandwich"}


@pytest.mark.parametrize(("name", "kind"), [("pre", nn.LayerNorm), ("sandwich", nn.LayerNorm), ("post", nn.Identity)])
def test_the_norm_behind_the_last_block_is_torchs(name: str, kind: type[nn.Module]) -> None:
    model, x_BTD = build_model(run_of(name, "layer"), seed=0).double(), torch.randn(2, 3, WIDTH).double()
    torch.testing.assert_close(model.norm(x_BTD), kind(WIDTH).double()(x_BTD), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_layer_norm_of_narrow_numbers_is_computed_in_wider_ones(dtype: torch.dtype) -> None:
    """Sums of squares of float16 would overflow from 65504 on."""
    norm = build_model(run_of("pre", "layer"), seed=0).norm
    x_BTD = (1000 * torch.randn(2, 3, WIDTH, generator=torch.Generator().manual_seed(0))).to(dtype)
    torch.testing.assert_close(norm(x_BTD), nn.functional.layer_norm(x_BTD.float(), (WIDTH,)), rtol=0, atol=1e-5)
