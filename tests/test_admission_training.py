"""A user's part of a model or a training is refused before a run is trained, in one line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mta_lab.admission import admit
from mta_lab.errors import UserError
from mta_lab.plugins import load_components
from tests.config.helpers import config, registry_restored

FILE = '''
import torch

from components.feed_forward import FeedForwardConfig
from components.initialisers import InitialiserConfig
from components.optimizers import OptimizerConfig, grouped
from components.registry import register
from components.residual_norms import ResidualNormConfig
from components.schedules import ScheduleConfig


@register("feed_forward", "third")
class Third(FeedForwardConfig):
    """A feed-forward of the tests."""

    def build(self, *, width, multiple, layer, layers):
        return Between(width, width, bias=False)


class Between(torch.nn.Linear):
    def forward(self, x):
        y = super().forward(x)
        {feed_forward}

    def auxiliary_losses(self):
        return {{"own": {loss}}}


@register("residual_norms", "around")
class Around(ResidualNormConfig):
    """Residual norms of the tests."""

    def build(self, *, width, scale, layer, layers):
        return torch.nn.LayerNorm(width)

    def join(self, norm, x, sublayer):
        {join}

    def final(self, *, width):
        {final}


@register("initialisers", "first")
class First(InitialiserConfig):
    """An initialiser of the tests."""

    def std(self, weight):
        {initialiser}


@register("optimizers", "mine")
class Mine(OptimizerConfig):
    """An optimizer of the tests."""

    def build(self, weights, adam):
        {optimizer}


@register("schedules", "own")
class Own(ScheduleConfig):
    """A schedule of the tests."""

    def factor(self, step, *, steps, warmup):
        {schedule}
'''
GOOD = {
    "feed_forward": "return y",
    "loss": "torch.zeros(())",
    "join": "return x + sublayer(norm(x))",
    "final": "return torch.nn.Identity()",
    "initialiser": "return 0.02",
    "optimizer": "return torch.optim.SGD(grouped(weights))",
    "schedule": "return 1.0",
}
BAD = {
    "a feed-forward of another width": (
        {"feed_forward": "return y[..., :4]"}, "mine.py: third on layer 1 returns [1, 12, 4] for an input of",
    ),
    "a feed-forward that sees other tokens": (
        {"feed_forward": "return y - y.mean(1, keepdim=True)"}, "layer 1 returns something else for a token among",
    ),
    "a feed-forward that overflows": ({"feed_forward": "return y / 0"}, "returns numbers that are not finite"),
    "a loss that is no number": ({"loss": "1.0"}, "Between.auxiliary_losses: got 1.0 as 'own', allowed: a tensor"),
    "norms that drop tokens": ({"join": "return norm(sublayer(x))[:, 1:]"}, "around on layer 1 returns [1, 11, "),
    "norms over the tokens": (
        {"join": "return x + sublayer(x / x.norm(dim=1, keepdim=True))"}, "around on layer 1 returns something else",
    ),
    "a last norm over the tokens": (
        {"final": "return torch.nn.Softmax(dim=1)"}, "around on layer 1 returns something else for",
    ),
    "norms that raise": ({"join": "return x + sublayer(norm)"}, "mine.py: around on layer 1: TypeError"),
    "an initialiser that raises": ({"initialiser": "return self.size"}, "mine.py: AttributeError"),
    "an initialiser below zero": (
        {"initialiser": "return -0.1"},
        "mine.py: initialiser 'first' returned -0.1 as the std of embedding.weight, allowed: a finite number, 0 or",
    ),
    "an optimizer that raises": ({"optimizer": "raise RuntimeError('not today')"}, "mine: RuntimeError: not today ("),
    "an optimizer of some weights": (
        {"optimizer": "return torch.optim.SGD(grouped(weights[:1]))"},
        "mine.py: mine does not move a layer's bias in 3 steps",
    ),
    "an optimizer that overflows": (
        {"optimizer": "return torch.optim.SGD([dict(one, lr=3e38) for one in grouped(weights)])"},
        "mine.py: mine makes numbers of a layer's weight that are not finite",
    ),
    "a schedule beyond the peak": (
        {"schedule": "return 1.0 + step"}, "mine.py: own returns 26.0 at step 25 of 250, allowed: a number from 0 to 1",
    ),
    "a schedule of words": ({"schedule": "return 'half'"}, "own returns 'half' at step 25"),
    "a schedule of a table that is too short": ({"schedule": "return ([1.0] * 30)[step]"}, "own: IndexError"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with registry_restored():
        yield tmp_path


def admitted(folder: Path, *rows: str, **bodies: str) -> None:
    """Admit runs by what is the user's, one for each setting of `rows`."""
    file = folder / "mine.py"
    file.write_text(FILE.format(**{**GOOD, **bodies}))
    load_components([file])
    rows = rows or ("seed=0",)
    mine = (
        "model.feed_forward=third",
        "model.residual_norms=around",
        "model.initialiser=first",
        "training.optimizer=mine",
        "training.schedule=own",
    )
    admit([config(*mine, row) for row in rows], [file])


def test_what_keeps_the_contract_is_let_in(folder: Path) -> None:
    admitted(folder)


def test_a_schedule_is_tried_at_the_steps_of_every_row(folder: Path) -> None:
    with pytest.raises(UserError, match="own: IndexError"):
        admitted(folder, "training.steps=250", "training.steps=30", schedule="return ([1.0] * 40)[step]")


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_is_refused_with_its_file(name: str, folder: Path) -> None:
    bodies, said = BAD[name]
    with pytest.raises(UserError) as caught:
        admitted(folder, **bodies)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
