"""A run's steps are those of AdamW as its authors wrote it (1711.05101), by hand in float64."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from mta_lab.config import RunConfig, TrainingConfig
from mta_lab.data import Corpus
from mta_lab.data.batches import TrainingBatches
from mta_lab.model import build_model
from mta_lab.training.run import train
from mta_lab.training.seeds import derive
from tests.training.conftest import Configure
from tests.training.recorder import recording

BASE: Mapping[str, Any] = {
    "steps": 6,
    "batch_size": 2,
    "warmup_steps": 2,
    "learning_rate": 0.02,
    "weight_decay": 0.5,
    "epsilon": 1e-3,
    "gradient_clip": 0.5,
    "validations": 1,
}
"""each of them is felt: gradients are clipped at every
step, and no gradient is so small that rounding decides"""
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "steps": {"steps": 7},
    "batch_size": {"batch_size": 3},
    "learning_rate": {"learning_rate": 0.01},
    "warmup_steps": {"warmup_steps": 4},
    "schedule": {"schedule": "constant"},
    "weight_decay": {"weight_decay": 0.0},
    "no_decay": {"no_decay": ["norms", "embeddings"]},
    "beta1": {"beta1": 0.5},
    "beta2": {"beta2": 0.9},
    "epsilon": {"epsilon": 1e-2},
    "gradient_clip": {"gradient_clip": 1e9},
}
ELSEWHERE = {"validations", "validation_tokens", "precision", "compiled", "micro_batch", "recompute", "deterministic",
             "token_share", "optimizer", "z_loss", "label_smoothing", "auxiliary", "ema", "stop_after",
             "compile"}  # fmt: skip
"""they move no step but in number, or the last bits alone;
`test_course`, `test_curves`, `test_share` and their own tests see them. Equations of other
optimizers stand in tests/components/optimizers, others in test_objective and test_average"""


def loss_of(model: torch.nn.Module, tokens: Tensor) -> Tensor:
    """The mean negative log-likelihood of each next token."""
    logits = model(tokens[:, :-1])
    return -torch.log_softmax(logits, dim=-1).gather(-1, tokens[:, 1:, None]).mean()


def rate(step: int, config: TrainingConfig) -> float:
    """The learning rate of the step, from 1."""
    if step <= config.warmup_steps:
        return config.learning_rate * step / config.warmup_steps
    left = (
        1.0 if config.schedule.name == "constant" else (config.steps - step + 1) / (config.steps - config.warmup_steps)
    )
    return config.learning_rate * left


def decay(name: str, weight: Tensor, config: TrainingConfig) -> float:
    """The weight decay of a weight of plain attention: norms are its vectors."""
    kind = "embeddings" if name == "embedding.weight" else "norms" if weight.dim() == 1 else ""
    return 0.0 if kind in config.no_decay else config.weight_decay


def by_hand(config: RunConfig, corpus: Corpus) -> dict[str, Tensor]:
    """The weights after the run's steps, from the same start and batches."""
    training = config.training
    model = build_model(config, derive(config.seed, "weights")).double()
    texts = {domain.name: corpus.tokens(domain.name, "train") for domain in corpus.domains}
    batches = TrainingBatches(
        texts, dict.fromkeys(texts, 1 / len(texts)), seed=derive(config.seed, "batches"), steps=training.steps,
        batch_size=training.batch_size, context=config.model.context,
    )  # fmt: skip
    weights = dict(model.named_parameters())
    first = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    second = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for step in range(1, training.steps + 1):
        found = torch.autograd.grad(loss_of(model, batches[step - 1]), [*weights.values()])
        norm = sum(float((gradient**2).sum()) for gradient in found) ** 0.5
        shrink = min(1.0, training.gradient_clip / norm)
        assert shrink < 1 or training.gradient_clip > 1e6, "the base must clip"
        for (name, weight), gradient in zip(weights.items(), found, strict=True):
            first[name] = training.beta1 * first[name] + (1 - training.beta1) * shrink * gradient
            second[name] = training.beta2 * second[name] + (1 - training.beta2) * (shrink * gradient) ** 2
            mean, square = first[name] / (1 - training.beta1**step), second[name] / (1 - training.beta2**step)
            move = mean / (square.sqrt() + training.epsilon) + decay(name, weight, training) * weight
            with torch.no_grad():
                weight.sub_(rate(step, training) * move)
    return {name: weight.detach() for name, weight in weights.items()}


Weights = Callable[[str], dict[str, Tensor]]


@pytest.fixture(scope="module")
def config_of(configure: Configure) -> Callable[[str], RunConfig]:
    """The configuration of BASE with the changes of a field; of BASE alone for an empty name."""
    common = {"model.layers": 1, "model.vocabulary": 300, "attention": {"name": "softmax", "impl": "eager"}}
    return lambda field: configure(
        {**common, **{f"training.{key}": value for key, value in {**BASE, **CHANGES.get(field, {})}.items()}}
    )


@pytest.fixture(scope="module")
def reference(config_of: Callable[[str], RunConfig], corpus: Corpus) -> Weights:
    """Return the outcome of a configuration's steps, computed by hand."""
    return cache(lambda field: by_hand(config_of(field), corpus))


def furthest(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The largest difference of any weight."""
    assert one.keys() == other.keys()
    return max(float((one[name].detach().cpu().double() - other[name].double()).abs().max()) for name in one)


def test_every_setting_of_training_is_here_or_said_to_be_elsewhere() -> None:
    assert {field.name for field in fields(TrainingConfig)} <= CHANGES.keys() | ELSEWHERE


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("field", ["", *CHANGES])
def test_the_steps_are_those_of_adamw_by_hand(
    config_of: Callable[[str], RunConfig], corpus: Corpus, reference: Weights, field: str
) -> None:
    """With the base's settings, and with each changed, which moves weights far beyond rounding."""
    with recording() as seen:
        train(config_of(field), corpus)
    assert seen.model is not None
    assert furthest(dict(seen.model.named_parameters()), reference(field)) < 2e-6
    assert not field or furthest(reference(""), reference(field)) > 1e-3
