"""Losses beside the task's: by hand, apart in curves, the same in parts of a batch, refused."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.attention import Attention, AttentionConfig
from components.registry import ComponentError, register
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.model import build_model
from mta_lab.training.objective import Objective
from mta_lab.training.run import train
from mta_lab.training.step import accumulated_loss, random_tokens
from tests.config.helpers import registry_restored
from tests.training import test_synthetic
from tests.training.conftest import Configure
from tests.training.test_resume import run, same

BOTH = {"training.z_loss": 0.01, "training.label_smoothing": 0.25, "model.layers": 1, "attention": "softmax"}


class Balanced(Attention):
    """Attention that wants its output small; what it returns can be wrong."""

    def __init__(self, *, width: int, heads: int, returns: str) -> None:
        super().__init__(width=width, heads=heads)
        self.returns, self.last = returns, torch.zeros(())

    def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
        self.last = value_BMTd.square().mean()
        return value_BMTd

    def auxiliary_losses(self) -> Mapping[str, Any]:
        """Return the loss that is asked for."""
        bad = {"number": 1.0, "vector": self.last.expand(3), "nan": self.last * float("nan")}
        return {"small": bad.get(self.returns, self.last), "unused": self.last}


@pytest.fixture(scope="module", autouse=True)
def balanced() -> Iterator[None]:
    """An attention of that name is registered as long as this module's tests run."""
    with registry_restored():

        @register("attention", "balanced")
        class BalancedConfig(AttentionConfig):
            """Returns its values, and a loss of them."""

            returns: str = "loss"

            def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
                return Balanced(width=width, heads=heads, returns=self.returns)

        yield


def balancing(configure: Configure, returns: str = "loss", **more: Any) -> RunConfig:
    settings = {"attention": {"name": "balanced", "returns": returns}, "training.auxiliary": {"small": 0.5}}
    return configure({"model.layers": 2, **settings, **more})


def loss_of(config: RunConfig, micro_batch: int = 4) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
    """Return the objective of a random batch, its gradients, and each loss."""
    model, objective = build_model(config, seed=0).train(), Objective(config.training)
    loss = accumulated_loss(model, random_tokens(config), "fp32", micro_batch, objective=objective)
    torch.autograd.backward(loss)
    found = [weight.grad for weight in model.parameters() if weight.grad is not None]
    return loss.detach(), found, objective.taken()


def test_z_loss_and_label_smoothing_are_those_of_torch_in_float64(configure: Configure) -> None:
    config = configure(BOTH)
    model, tokens = build_model(config, seed=0).double(), random_tokens(config)
    logits = model(tokens[:, :-1]).flatten(0, 1)
    smoothed = F.cross_entropy(logits, tokens[:, 1:].flatten(), label_smoothing=0.25)
    expected = smoothed + 0.01 * torch.log(logits.exp().sum(-1)).square().mean()
    torch.autograd.backward(expected)
    loss, gradients, apart = loss_of(config)
    torch.testing.assert_close(loss.double(), expected.detach(), rtol=1e-6, atol=0)
    for one, weight in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(one.double(), weight.grad, rtol=1e-4, atol=1e-7)
    plain = F.cross_entropy(logits, tokens[:, 1:].flatten()).detach()
    torch.testing.assert_close(apart["cross_entropy"].double(), plain, rtol=1e-6, atol=0)


@pytest.mark.parametrize("task", ["language", "find_block", "modules"])
def test_a_batch_in_parts_has_the_losses_and_gradients_of_the_whole(configure: Configure, task: str) -> None:
    make = test_synthetic.configure if task == "find_block" else configure
    config = balancing(configure, **{"training.z_loss": 0.1}) if task == "modules" else make(BOTH)
    whole, parts = loss_of(config), loss_of(config, micro_batch=1)
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)


def test_a_modules_loss_is_minimised_by_its_weight_and_summed_over_layers(configure: Configure) -> None:
    config = balancing(configure)
    loss, _, apart = loss_of(config)
    assert apart.keys() == {"cross_entropy", "small"}
    torch.testing.assert_close(loss, apart["cross_entropy"] + 0.5 * apart["small"])
    model = build_model(config, seed=0)
    model(random_tokens(config)[:, :-1])
    summed = sum((block.attention.last.detach() for block in model.blocks), start=torch.zeros(()))
    torch.testing.assert_close(apart["small"], summed)


def test_a_run_keeps_its_losses_apart_and_goes_on_to_the_bit(
    configure: Configure, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Curves of the task's loss have no other loss in them."""
    monkeypatch.setattr("mta_lab.training.run.REPORTS", 2)
    config = balancing(configure, **{"training.steps": 4, "training.validations": 1, "training.z_loss": 1.0})
    whole = run(config, corpus, tmp_path / "whole")
    parts = run(config, corpus, tmp_path / "parts", (3,))
    same(parts, whole)
    assert parts.result.apart == whole.result.apart
    steps = {name: [step for step, _ in curve] for name, curve in whole.result.apart.items()}
    assert steps == {"z_loss": [2, 4], "small": [2, 4]}
    assert whole.result.losses[0][1] < 8 < whole.result.apart["z_loss"][0][1]


REFUSED = {
    "number": "Balanced.auxiliary_losses: got 1.0 as 'small', allowed: a tensor of one number",
    "vector": r"got a tensor of shape \[3\] as 'small', allowed: a tensor of one number",
}


@pytest.mark.parametrize("returns", REFUSED)
def test_a_loss_that_is_no_scalar_is_refused(configure: Configure, returns: str) -> None:
    with pytest.raises(ComponentError, match=REFUSED[returns]):
        loss_of(balancing(configure, returns))


def test_a_loss_that_is_no_number_ends_the_run_at_its_step(configure: Configure, corpus: Corpus) -> None:
    with pytest.raises(FloatingPointError, match="the loss 'small' is nan at step 1"):
        train(balancing(configure, "nan"), corpus)


def test_a_weight_for_a_loss_that_no_module_has_is_refused(configure: Configure) -> None:
    said = "training.auxiliary: no module of the model has a loss 'smal'; they have: small, unused"
    with pytest.raises(ComponentError, match=said):
        loss_of(balancing(configure, **{"training.auxiliary": {"smal": 1.0}}))
