"""The contract that all positions keep, shipped or yours; see `conformance`.

Shapes: B batch, T tokens, D model width, M heads, d head width.
"""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from components import ComponentError, set_compiled
from components.attention import AttentionConfig, Differential, MultiToken, Softmax, bias_scores
from components.initialise import initialise
from components.kernels import streaming
from components.kernels.choice import IMPLEMENTATIONS
from components.positions import PositionConfig, Turns
from components.score_ops import HeadMixing, KeyQuery, ScoreOp
from mta_lab.testing import chunks, implementations
from mta_lab.testing.subjects import BATCH, HEADS, WIDTH, under_test

CONTEXT = 16  # tokens, more than the kernels below reach
HEAD_WIDTH = WIDTH // HEADS
OPERATIONS = (KeyQuery(kernel=(3, 4), layers="all"), HeadMixing())
ATTENTIONS: dict[str, AttentionConfig] = {
    "softmax": Softmax(),
    "operations": MultiToken(pre_softmax=OPERATIONS, post_softmax=OPERATIONS),
    "pairs": Differential(),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over all positions under test, as they are by default."""
    positions = [variant() for variant in under_test()[0] if issubclass(variant, PositionConfig)]
    if "positions" in metafunc.fixturenames:
        metafunc.parametrize("positions", positions, ids=lambda one: one.name)
    if "attention" in metafunc.fixturenames:
        metafunc.parametrize("attention", ATTENTIONS.values(), ids=ATTENTIONS)


def turns_of(positions: PositionConfig) -> Turns | None:
    """Return the turns of a short context."""
    return positions.turns(context=CONTEXT, head_width=HEAD_WIDTH)


def layer_of(positions: PositionConfig, attention: AttentionConfig) -> nn.Module:
    """Return an attention layer with the bias, no parameter at its initial value."""
    module = attention.build(width=WIDTH, heads=HEADS, layer=1, layers=2)
    bias = positions.bias(heads=HEADS, layer=1)
    if bias is not None:
        bias_scores(module, bias)
    initialise(module, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return module


def tokens(batch: int = BATCH) -> Tensor:
    """Return random input [B, T, D], the same at each call."""
    return torch.randn(batch, CONTEXT, WIDTH, generator=torch.Generator().manual_seed(2))


def test_turns_are_a_table_of_all_positions(positions: PositionConfig) -> None:
    """Each position's do not depend on the device, and are the same at every call."""
    turns = turns_of(positions)
    if turns is None:
        return
    assert (turns.shape, turns.dtype) == ((CONTEXT, 2, HEAD_WIDTH // 2), torch.float32)
    assert turns.isfinite().all()
    assert torch.equal(turns, turns_of(positions))  # type: ignore[arg-type]
    assert positions.turns(context=2, head_width=HEAD_WIDTH, device=torch.device("meta")).is_meta  # type: ignore[union-attr]


def test_what_is_added_is_that_of_each_position(positions: PositionConfig) -> None:
    """Whatever other positions are asked for, in whatever shape; a seed decides every bit of it."""
    added = positions.added(context=CONTEXT, width=WIDTH)
    if added is None:
        return
    initialise(added, seed=3)
    whole_TD = added(torch.arange(CONTEXT))
    assert (whole_TD.shape, whole_TD.dtype) == ((CONTEXT, WIDTH), torch.float32)
    assert whole_TD.isfinite().all()
    places_BT = torch.tensor([[0, 0, 5], [7, 8, 9]])
    assert torch.equal(added(places_BT), whole_TD[places_BT])
    again = positions.added(context=CONTEXT, width=WIDTH)
    assert again is not None
    initialise(again, seed=3)
    assert torch.equal(again(torch.arange(CONTEXT)), whole_TD)


def test_it_says_whether_its_weights_end_with_the_context(positions: PositionConfig) -> None:
    """`any_length`, without which a longer text is read by weights that are not there."""
    with torch.device("meta"):
        found = [positions.added(context=context, width=WIDTH) for context in (CONTEXT, 2 * CONTEXT)]
    shapes = [{name: one.shape for name, one in module.state_dict().items()} for module in found if module is not None]
    assert positions.any_length == (not shapes or shapes[0] == shapes[1]), "set any_length as it is"


def test_a_bias_is_an_operation_without_weights(positions: PositionConfig) -> None:
    bias = positions.bias(heads=HEADS, layer=1)
    assert bias is None or (isinstance(bias, ScoreOp) and not [*bias.parameters()])


@pytest.mark.parametrize("impl", ["auto", *(name for name in IMPLEMENTATIONS if name != "eager")])
def test_every_implementation_equals_eager(
    positions: PositionConfig, attention: AttentionConfig, impl: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or refuses, and says why. Outputs and gradients, in blocks of a few rows."""
    monkeypatch.setattr(streaming, "BLOCK", 4)
    implementations.require(impl)
    layer, turns = layer_of(positions, attention), turns_of(positions)

    def computed(impl: str) -> Sequence[Tensor]:
        layer.impl = impl  # type: ignore[assignment]
        x_BTD = tokens().requires_grad_()
        y_BTD = layer(x_BTD, turns)
        return y_BTD.detach(), *torch.autograd.grad(y_BTD.square().sum(), [x_BTD, *layer.parameters()])

    set_compiled(layer, False)
    expected = computed("eager")
    set_compiled(layer, True)
    try:
        found = computed(impl)
    except ComponentError as error:
        pytest.skip(str(error))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=3e-5 * other.abs().max().item())


def test_no_token_reads_a_later_one(positions: PositionConfig, attention: AttentionConfig) -> None:
    layer, turns, x_BTD = layer_of(positions, attention), turns_of(positions), tokens()
    with torch.no_grad():
        before_BTD = layer(x_BTD, turns)
        for t in range(1, CONTEXT, 3):
            changed_BTD = x_BTD.clone()
            changed_BTD[:, t:] = 50.0 * changed_BTD[:, t:].flip(-1)
            assert torch.equal(layer(changed_BTD, turns)[:, :t], before_BTD[:, :t]), f"a token before {t} does"


@pytest.mark.parametrize("split", chunks.splits(CONTEXT))
def test_chunks_read_with_a_cache_are_the_whole(
    positions: PositionConfig, attention: AttentionConfig, split: str
) -> None:
    """Also in a batch with padding; in float64."""
    layer, turns = layer_of(positions, attention).double().eval(), turns_of(positions)
    x_BTD, sizes = tokens(3).double(), chunks.splits(CONTEXT)[split]
    turns = None if turns is None else turns.double()
    whole_BTD = layer(x_BTD, turns).detach()
    torch.testing.assert_close(chunks.in_chunks(layer, x_BTD, turns, sizes), whole_BTD, rtol=0, atol=1e-12)
    padding = (0, 5, CONTEXT - 1)
    padded_BTD = chunks.without_padding(chunks.in_chunks(layer, x_BTD, turns, sizes, padding), padding)
    torch.testing.assert_close(padded_BTD, chunks.each_alone(layer, x_BTD, turns, padding), rtol=0, atol=1e-12)
