"""Runs of every optimizer and schedule: paired, resumed to the bit, planned, and told apart."""

from pathlib import Path
from typing import Any

import pytest
import torch

from components.registry import FAMILIES
from mta_lab.config import RunConfig, fingerprint, plain
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.training.module import rate_factor
from mta_lab.training.ranks import obstacle
from mta_lab.training.run import train
from mta_lab.training.sizes import step_memory
from tests.config.helpers import config, layered
from tests.training.conftest import Configure
from tests.training.recorder import recording
from tests.training.test_resume import run, same

OPTIMIZERS, SCHEDULES = FAMILIES["optimizers"].names(), FAMILIES["schedules"].names()
PAIRS = [
    (OPTIMIZERS[number % len(OPTIMIZERS)], SCHEDULES[number % len(SCHEDULES)])
    for number in range(max(len(OPTIMIZERS), len(SCHEDULES)))
]
"""each optimizer and each schedule at least once"""
ALWAYS = "muon"  # of two optimizers, each with groups of its own; the contract has the others at once
EACH = [pytest.param(*pair, marks=() if pair[0] == ALWAYS else pytest.mark.slow) for pair in PAIRS]
OTHERS = [pytest.param(name, marks=() if name == ALWAYS else pytest.mark.slow) for name in OPTIMIZERS[1:]]


RATES = {"adafactor": 0.3, "sgd": 0.3}


def trained_by(configure: Configure, optimizer: str, schedule: str, **settings: Any) -> RunConfig:
    rate = RATES.get(optimizer, 0.002)
    chosen = {"training.optimizer": optimizer, "training.schedule": schedule, "training.learning_rate": rate}
    return configure({"model.layers": 1, "attention": {"name": "softmax", "dropout": 0.1}, **chosen, **settings})


@pytest.mark.parametrize(("optimizer", "schedule"), EACH)
def test_a_run_goes_on_to_the_bit_and_its_loss_falls(
    configure: Configure, corpus: Corpus, tmp_path: Path, optimizer: str, schedule: str
) -> None:
    """Interrupted before a step, and inside a validation."""
    lengths = {"training.steps": 12, "training.validations": 2, "training.no_decay": ["norms"]}
    planned = trained_by(configure, optimizer, schedule, **lengths)
    whole = run(planned, corpus, tmp_path / "whole")
    same(run(planned, corpus, tmp_path / "parts", (3, 5)), whole)
    assert whole.result.losses[-1][1] < whole.result.losses[0][1]


@pytest.mark.parametrize("optimizer", OTHERS)
def test_rows_of_other_optimizers_share_start_and_batches(configure: Configure, corpus: Corpus, optimizer: str) -> None:
    seen = {}
    for name in ("adamw", optimizer):
        with recording() as seen[name]:
            train(trained_by(configure, name, "cosine", **{"training.steps": 4}), corpus)
    first, other = seen["adamw"], seen[optimizer]
    assert all(torch.equal(one, two) for one, two in zip(first.batches, other.batches, strict=True))
    assert all(torch.equal(weight, other.start[name]) for name, weight in first.start.items())
    peak = RATES.get(optimizer, 0.002)
    training = trained_by(configure, optimizer, "cosine", **{"training.steps": 4}).training
    assert {*other.rates} == {peak * rate_factor(step, training) for step in range(4)}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_rises_first_and_is_told_apart(configure: Configure, schedule: str) -> None:
    training = config(f"training.schedule={schedule}").training
    assert [rate_factor(step, training) for step in (0, 12, 24)] == pytest.approx([0.04, 0.52, 1.0])
    assert rate_factor(25, training) == pytest.approx(1.0)


def test_every_choice_is_another_run_and_none_of_before_is_stale() -> None:
    """AdamW, `linear` and `constant` stand as earlier versions wrote them."""
    texts = [f"training.optimizer={name}" for name in OPTIMIZERS] + [f"training.schedule={name}" for name in SCHEDULES]
    found = {text: fingerprint(config(text), "") for text in texts}
    assert found["training.optimizer=adamw"] == found["training.schedule=linear"] == fingerprint(config(), "")
    assert len({*found.values()}) == len(texts) - 1
    assert "optimizer" not in plain(config())["training"]
    assert plain(config("training.schedule=constant"))["training"]["schedule"] == "constant"


def test_naming_another_optimizer_drops_the_constants_of_adamw_that_a_layer_below_set() -> None:
    base: dict[str, Any] = {"training.beta2": 0.95, "training.epsilon": 1e-6}
    assert layered(base, {"training.optimizer": "lion"}) == layered({"training.optimizer": "lion"})
    assert layered(base, {"training.optimizer": "muon"}).training.beta2 == 0.95
    with pytest.raises(UserError, match=r"layer 1: training.beta2: got 0.95, which the optimizer 'lion' does not read"):
        layered({"training.optimizer": "lion"}, {"training.beta2": 0.95})


def test_an_optimizer_of_whole_weights_is_refused_on_several_devices() -> None:
    assert obstacle(config("training.optimizer=lion").training, 2) == ""
    refused = "got 'muon', which makes a step of a whole weight, and each device has a shard of it"
    said = f"training.optimizer: {refused}; allowed on 2 devices a run: adamw, lion, sgd"
    assert obstacle(config("training.optimizer=muon").training, 2) == said
    assert obstacle(config("training.optimizer=muon").training, 1) == ""


def test_the_memory_of_a_step_is_that_of_its_optimizer() -> None:
    memory = {name: step_memory(config(f"training.optimizer={name}"), 1) for name in OPTIMIZERS}
    shares = {name: one.optimizer / one.weights for name, one in memory.items()}
    assert shares == pytest.approx({"adafactor": 0.1, "adamw": 2, "lion": 1, "muon": 2, "sgd": 1}, rel=1e-3)
