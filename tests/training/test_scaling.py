"""fp16: the loss is scaled, steps without finite gradients are skipped, and told.

A CPU refuses fp16 in a run; its torch computes it all the same, so that this is tried on one.
"""

from pathlib import Path

import pytest
import torch

from mta_lab.data import Corpus
from mta_lab.devices import own
from mta_lab.model import build_model
from mta_lab.training import scaling
from mta_lab.training.objective import Objective
from mta_lab.training.ranks import obstacle
from mta_lab.training.result import Progress
from mta_lab.training.run import train
from mta_lab.training.scaling import LossScale
from mta_lab.training.sizes import step_memory
from mta_lab.training.step import accumulated_loss, random_tokens
from tests.training.conftest import Configure
from tests.training.recorder import recording
from tests.training.test_resume import run, same

SETTINGS = {"model.layers": 1, "attention": "softmax", "training.precision": "fp16", "training.deterministic": True}
SHORT = SETTINGS | {"training.steps": 6, "training.validations": 2}
START = 2.0**23


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "has_fp16", lambda: True)


class From(LossScale):
    """A scale that begins so high that the first steps are skipped."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._scaler.load_state_dict(self._scaler.state_dict() | {"scale": START})


@pytest.fixture
def high(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta_lab.training.module.LossScale", From)


def test_scaled_gradients_of_micro_batches_are_those_of_fp32_once_they_are_divided(
    configure: Configure, device: torch.device
) -> None:
    """As they are, some are 0 in float16; scaled, each is within a thousandth of the largest."""
    config = configure({**SETTINGS, "training.micro_batch": 2})
    tokens, found = random_tokens(config).to(device), {}
    for kind in ("fp32", "fp16"):
        model = build_model(config, seed=0).to(device).train()
        scale = LossScale(device) if kind == "fp16" else None
        objective = Objective(config.training, scale)
        loss = accumulated_loss(model, tokens, kind, 2, objective=objective)
        torch.autograd.backward(objective.scaled(loss))
        if scale:
            scale.unscale(torch.optim.SGD(model.parameters(), lr=1.0))
        found[kind] = {name: weight.grad for name, weight in model.named_parameters()}
    for name, exact in found["fp32"].items():
        assert exact is not None
        torch.testing.assert_close(found["fp16"][name], exact, rtol=0, atol=4e-3 * exact.abs().max().item())


@pytest.mark.usefixtures("high", "device")
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_step_without_finite_gradients_moves_no_weights_and_halves_the_scale(
    configure: Configure, corpus: Corpus, optimizer: str
) -> None:
    """A fused optimizer decides by itself, for another the scaler does; the schedule goes on."""
    config, heard = configure({**SHORT, "training.optimizer": optimizer}), list[Progress]()
    with recording() as seen:
        train(config, corpus, lambda progress: True)
    assert seen.model is not None
    assert all(torch.equal(weight.cpu(), seen.start[name]) for name, weight in seen.model.named_parameters())
    train(config, corpus, lambda progress: bool(heard.append(progress)))
    told, scale, before = [progress for progress in heard if not progress.validation], START, 0
    for progress in told:
        assert progress.skipped_steps is not None
        skipped, before = progress.skipped_steps - before, progress.skipped_steps
        scale *= 0.5**skipped
        assert progress.loss_scale == scale
        assert (progress.gradient_norm is None) == bool(skipped)
    assert 2 <= before < len(told)
    assert told[-1].points["train/skipped_steps"] == before
    assert [progress.learning_rate for progress in told] == pytest.approx([0.01 * x / 3 for x in (1, 2, 3, 3, 2, 1)])


@pytest.mark.usefixtures("high", "device")
def test_it_goes_on_to_the_bit(configure: Configure, corpus: Corpus, tmp_path: Path) -> None:
    """Interrupted between skipped steps, and later inside a validation."""
    config = configure(SHORT)
    whole, parts = run(config, corpus, tmp_path / "whole"), run(config, corpus, tmp_path / "parts", (1, 5))
    same(parts, whole)


def test_a_run_whose_gradients_never_fit_fails_in_one_line(
    configure: Configure, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "LEAST", 1e6)
    with pytest.raises(FloatingPointError, match=r"not finite in float16.* at step 1; training.precision=bf16 has"):
        train(configure(SHORT), corpus)


def test_fp16_is_for_one_device_a_run_and_makes_all_logits_at_once(configure: Configure) -> None:
    config = configure(SETTINGS)
    assert obstacle(config.training, 1) == ""
    assert "got 'fp16', whose loss scale one device keeps; allowed on 2" in obstacle(config.training, 2)
    longer = configure({**SETTINGS, "model.context": 2048})
    assert step_memory(longer, 4).logits == 4 * step_memory(longer, 1).logits
