"""Each random part of a run has its own stream by seed: weights, batches and dropout."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from components.kernels.choice import Impl
from components.registry import FAMILIES
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.model import build_model
from mta_lab.training.run import train
from tests.training import test_synthetic
from tests.training.conftest import Configure
from tests.training.recorder import Recording, recording

SHORT = {"training.steps": 3, "training.warmup_steps": 1, "training.validations": 1, "attention.dropout": 0.5}
STRANGERS: list[dict[str, Any]] = [{"stream": "A/A"}, {"seed": 1}]


@pytest.fixture(scope="module", params=["language", "find_block"])
def runs(request: pytest.FixtureRequest, configure: Configure, corpus: Corpus) -> list[Recording]:
    """A run, the same again, and one of another stream and of another seed each."""
    language = request.param == "language"
    configured = configure if language else test_synthetic.configure
    seen = []
    for settings in [{}, {}, *STRANGERS]:
        with recording() as found:
            train(configured({**SHORT, **settings}), corpus if language else None)
        seen.append(found)
    return seen


def values(run: Recording, what: str) -> list[Tensor]:
    """All that a run drew for a purpose."""
    if what == "weights":  # those of norms start as ones
        return [value for value in run.start.values() if len(value.unique()) > 1]
    return run.batches if what == "batches" else run.random


@pytest.mark.parametrize("what", ["weights", "batches", "dropout"])
def test_another_stream_or_seed_shares_nothing(runs: list[Recording], what: str) -> None:
    base, again, *strangers = (values(run, what) for run in runs)
    assert len(base) >= 3
    assert all(torch.equal(one, other) for one, other in zip(base, again, strict=True))
    for stranger in strangers:
        assert not any(torch.equal(one, other) for one, other in zip(base, stranger, strict=True))


PARTS = {"init": "weights", "data": "batches", "dropout": "dropout"}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_whose_seed_is_fixed_stays_under_another_seed(configure: Configure, corpus: Corpus, part: str) -> None:
    seen = []
    for settings in ({}, {"seed": 1, f"fixed_seeds.{part}": 0}):
        with recording() as found:
            train(configure({**SHORT, "model.layers": 1, **settings}), corpus)
        seen.append(found)
    for one, what in PARTS.items():
        base, other = (values(run, what) for run in seen)
        assert all(torch.equal(*pair) for pair in zip(base, other, strict=True)) == (one == part)


def test_the_held_out_text_is_the_same_for_all(runs: list[Recording]) -> None:
    for other in runs[1:]:
        assert all(torch.equal(*pair) for pair in zip(runs[0].validated, other.validated, strict=True))


def drops(configure: Configure) -> dict[str, RunConfig]:
    """Every variant that drops weights, and plain attention by each implementation."""
    found = {name: {"name": name} for name in FAMILIES["attention"].names()}
    by = [impl for impl in get_args(Impl) if impl != "sdpa"]  # which is refused with dropout
    found |= {f"softmax by {impl}": {"name": "softmax", "impl": impl} for impl in by}
    return {name: configure({"attention": {**settings, "dropout": 0.5}}) for name, settings in found.items()}


def test_every_implementation_draws_other_masks_under_other_seeds_and_at_every_step(configure: Configure) -> None:
    tokens = torch.arange(32).reshape(2, 16)
    for name, config in drops(configure).items():
        model = build_model(config, seed=0).train()
        seen = []
        for seed in (1, 2, 1):
            torch.manual_seed(seed)
            seen += [model(tokens).detach() for _ in range(2)]
        first, second, other, _, again, again_second = seen
        assert torch.equal(first, again), name
        assert torch.equal(second, again_second), name
        assert not torch.equal(first, other), name
        assert not torch.equal(first, second), name
        model.eval()
        assert torch.equal(model(tokens), model(tokens)), name
