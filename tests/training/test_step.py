"""The training step that is timed (bench, precision, estimates) is the one that a run takes."""

from contextlib import nullcontext

import pytest
import torch

from mta_lab.data import Corpus
from mta_lab.data.batches import TrainingBatches
from mta_lab.devices import own
from mta_lab.model import build_model
from mta_lab.training.module import DecoderModule
from mta_lab.training.run import train
from mta_lab.training.seeds import derive
from mta_lab.training.step import TrainingStep, clip, random_tokens
from tests.training import test_synthetic
from tests.training.conftest import Configure
from tests.training.recorder import recording

STEPS = 3
SETTINGS = {
    "training.steps": STEPS,
    "training.warmup_steps": 0,
    "training.schedule": "constant",
    "training.gradient_clip": 0.5,
    "training.epsilon": 1e-3,
    "training.deterministic": True,
}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_steps_outside_a_run_change_the_weights_as_a_run_does(
    configure: Configure, corpus: Corpus, precision: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit, from the same start and batches, at a constant rate; a CPU computes fp16, too."""
    monkeypatch.setattr(own, "has_fp16", lambda: True)
    config = configure({**SETTINGS, "training.precision": precision})
    with recording() as seen:
        train(config, corpus)
    assert seen.model is not None
    texts = {domain.name: corpus.tokens(domain.name, "train") for domain in corpus.domains}
    batches = TrainingBatches(
        texts, dict.fromkeys(texts, 1 / len(texts)), seed=derive(config.seed, "batches"), steps=STEPS,
        batch_size=config.training.batch_size, context=config.model.context,
    )  # fmt: skip
    model = build_model(config, derive(config.seed, "weights")).to(device)
    step = TrainingStep(model, config.training)
    for index in range(STEPS):
        step(batches[index].to(device))
    for name, weight in seen.model.named_parameters():
        assert torch.equal(model.get_parameter(name), weight), name


@pytest.mark.parametrize("task", ["language", "find_block"])
def test_a_step_never_waits_for_the_device(configure: Configure, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors on meta have no values: whatever asks for one, or counts some, raises."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # it knows no meta
    config = (configure if task == "language" else test_synthetic.configure)({"attention.dropout": 0.1})
    batch = random_tokens(config)
    if task == "find_block":
        batch = test_synthetic.TASK.sequences(4, torch.Generator().manual_seed(0))
    meta = torch.device("meta")
    module = DecoderModule(config, ("text",)).to(meta)
    module.micro_batch = 2
    loss = module.training_step(module.transfer_batch_to_device(batch, meta, 0), 0)["loss"]
    loss.backward()
    clip(module.parameters(), config.training)
    assert (loss.device, loss.shape) == (meta, ())
    assert all(parameter.grad.device == meta for parameter in module.parameters())


def test_tokens_for_timing_have_the_sizes_of_a_batch(configure: Configure) -> None:
    config = configure({"training.batch_size": 3})
    tokens = random_tokens(config)
    assert tokens.shape == (3, config.model.context + 1)
    assert 0 <= tokens.min() <= tokens.max() < config.model.vocabulary
    assert torch.equal(tokens, random_tokens(config))
