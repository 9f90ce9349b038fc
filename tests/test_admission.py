"""A user's component is refused before it is trained with, in one line with what it does wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mta_lab.admission import admit
from mta_lab.config import started_from
from mta_lab.errors import UserError
from mta_lab.plugins import load_components
from mta_lab.testing import implementations
from tests.config.helpers import config, registry_restored

FILE = '''
import torch
from torch import nn

from components.attention import Attention, AttentionConfig
from components.registry import register
from components.score_ops import ScoreOp, ScoreOpConfig


@register("attention", "mine")
class Mine(AttentionConfig):
    """An attention of the tests."""

    exempt = {exempt}

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        return MineAttention(width=width, heads=heads, dropout=self.dropout)


class MineAttention(Attention):
    def attend(self, query_BMTd, key_BMTd, value_BMTd):
        tokens = value_BMTd.shape[-2]
        {body}


@register("score_ops", "spread")
class Spread(ScoreOpConfig):
    """An operation of the tests, which reads the row below."""

    def build(self, *, heads: int) -> ScoreOp:
        return SpreadOp()


class SpreadOp(ScoreOp):
    def forward(self, scores_BMQK, visible_QK):
        return scores_BMQK + scores_BMQK.masked_fill(~visible_QK, 0.0).roll(-1, 2)
'''
GOOD = "return value_BMTd.cumsum(-2)"
BAD = {
    "looks at the next token": (
        "return value_BMTd.roll(-1, -2)",
        "mine.py: mine on layer 1 looks ahead: its output at position 0 depends on the token at position 1",
    ),
    "looks ahead late": (
        "return torch.cat([value_BMTd[:, :, :5], value_BMTd[:, :, 5:].flip(-2)], -2)",
        "output at position 7 depends on the token at position 9",
    ),
    "averages over all tokens": ("return value_BMTd + value_BMTd.mean(-2, keepdim=True)", "position 0 depends"),
    "loses a token": ("return value_BMTd[:, :, 1:]", "mine on layer 1 returns [1, 11, 64] for tokens of shape"),
    "raises": ("raise RuntimeError('not today')", "mine on layer 1: RuntimeError: not today ("),
    "has a parameter that nothing fills": (
        GOOD + "\n\n    def __init__(self, **sizes):\n        super().__init__(**sizes)\n"
        "        self.scale = nn.Parameter(torch.randn(3))",
        "mine.py: mine on layer 1: scale: no rule says how this parameter of MineAttention starts; give MineAttention",
    ),
    "returns nothing": ("return None", "mine on layer 1: AttributeError"),
    "draws random numbers": (
        "return value_BMTd.cumsum(-2) + torch.rand(tokens, 1)",
        "mine on layer 1 gives another output for the same tokens the second time, allowed: the same",
    ),
    "counts its calls": (
        "self.calls = getattr(self, 'calls', 0) + 1\n        return value_BMTd * self.calls",
        "another output for the same tokens the second time",
    ),
    "averages over the batch": ("return value_BMTd - value_BMTd.mean(0)", "mine on layer 1 mixes sequences: "),
    "leaves the process": ("raise SystemExit(0)", "mine on layer 1: SystemExit: 0 ("),
    "raises what cannot be printed": (
        "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})()",
        "mine on layer 1: Mute: it cannot say more (",
    ),
}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with registry_restored():
        yield


def write(folder: Path, body: str, exempt: str = "{}") -> Path:
    """A component file whose attention does `body`."""
    (folder / "mine.py").write_text(FILE.replace("{body}", body).replace("{exempt}", exempt))
    return folder / "mine.py"


def load(folder: Path, body: str, exempt: str = "{}") -> None:
    load_components([write(folder, body, exempt)])


@pytest.mark.parametrize("how", BAD)
def test_what_breaks_the_contract_is_said_in_one_line(how: str, tmp_path: Path) -> None:
    body, says = BAD[how]
    load(tmp_path, body)
    with pytest.raises(UserError) as refused:
        admit([config("attention=softmax"), config("attention=mine")])
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_keeps_it_is_admitted(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    admit(config("attention=mine", f"model.layers={layers}") for layers in (1, 2, 3, 4))


def test_an_operation_is_looked_at_where_it_stands(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    with pytest.raises(UserError, match=r"mine.py: multi_token on layer 3 looks ahead: .* at position 1 .* position 2"):
        admit([config("attention={name: multi_token, pre_softmax: [{name: spread, layers: every 4}]}")])


def test_what_is_exempt_is_not_asked_for(tmp_path: Path) -> None:
    load(tmp_path, "return value_BMTd.flip(-2)", exempt="{'causal': 'it reads both ways'}")
    admit([config("attention=mine")])


OPERATION = '''
import torch
from components.registry import register
from components.score_ops import ScoreOp, ScoreOpConfig, Stage
from components.score_ops.head_mixing import HeadMixingMatrix


@register("score_ops", "mine")
class Mine(ScoreOpConfig):
    """An operation of the tests."""

    def build(self, *, heads: int) -> ScoreOp:
        return MineOp(heads=heads, group=heads)


class MineOp(HeadMixingMatrix):
{body}
'''
NOT_THE_SAME = {
    "a stage of another operation": (
        "    def stage(self):\n        return Stage('mix', self.matrix.softmax(-1))",
        r"under impl: (auto|fused) than under impl: eager: the output at \[0, \d+, \d+\] by [\d.]+, allowed: ",
    ),
    "a stage without a gradient": (
        "    def stage(self):\n        return Stage('mix', self.matrix.detach())",
        r"under impl: (auto|fused) than under impl: eager: the gradient of pre_softmax.0.matrix at \[0, \d+, \d+\] by",
    ),
    "fewer earlier queries than it reads": (
        "    earlier_queries = 0\n    def forward(self, scores, visible):\n"
        "        above = torch.nn.functional.pad(scores.masked_fill(~visible, 0.0), (0, 0, 3, 0))\n"
        "        return self.matrix.sum() * above[:, :, :-3]",
        "under impl: (auto|streaming) than under impl: eager: the output at ",
    ),
}
MINE = "attention={name: multi_token, pre_softmax: [mine], post_softmax: [], norm: none}"


def load_operation(folder: Path, body: str) -> None:
    (folder / "mine.py").write_text(OPERATION.replace("{body}", body))
    load_components([folder / "mine.py"])


@pytest.mark.parametrize("how", NOT_THE_SAME)
def test_what_differs_between_implementations_is_refused_with_its_place(how: str, tmp_path: Path) -> None:
    body, says = NOT_THE_SAME[how]
    if "stage" in how:
        implementations.require("fused")
    load_operation(tmp_path, body)
    with pytest.raises(UserError, match=f"^mine.py: multi_token on layer 1 comes out otherwise {says}") as refused:
        admit([config(MINE)])
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith("let stage() and earlier_queries say what forward does, or set impl: eager")
    admit([config(MINE, "attention.impl=eager")])


def test_an_overridden_forward_is_admitted_and_computed_as_it_is_written(tmp_path: Path) -> None:
    load_operation(tmp_path, "    def forward(self, scores, visible):\n        return 2.0 * scores")
    admit([config(MINE)])
    layer = config(MINE).attention.build(width=8, heads=2, layer=1, layers=4)
    layer(torch.zeros(1, 3, 8))
    assert layer.ran is not None
    assert "overrides" in layer.ran.reason


def test_an_operation_that_a_stage_inserts_is_admitted_if_it_changes_nothing(tmp_path: Path) -> None:
    load_operation(tmp_path, "    pass")
    trained = config("attention=talking_heads")
    stage = "attention={name: multi_token, pre_softmax: [mine, head_mixing], post_softmax: [head_mixing], norm: none}"
    admit([started_from(trained, config(stage))])


def test_an_operation_that_changes_the_output_of_its_parent_is_refused(tmp_path: Path) -> None:
    load_operation(tmp_path, "    def forward(self, scores, visible):\n        return 2.0 * scores")
    says = r"^mine.py: multi_token on layer 1 cannot be inserted into 'softmax': it changes the output before any step"
    with pytest.raises(UserError, match=says):
        admit([started_from(config("attention=softmax"), config(MINE))])
