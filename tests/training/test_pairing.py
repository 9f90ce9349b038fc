"""Rows of a sweep differ in what they vary and in nothing else."""

import pytest
import torch

from components.attention import AttentionConfig
from components.registry import FAMILIES
from mta_lab.data import Corpus
from mta_lab.data.batches import TrainingBatches
from mta_lab.training.run import train
from mta_lab.training.seeds import derive
from tests.training.conftest import Configure
from tests.training.recorder import Recording, recording

VARIANTS = [name for name in FAMILIES["attention"].names() if name != "softmax"]
STEPS = 6


def run(configure: Configure, corpus: Corpus, attention: str, seed: int = 0) -> Recording:
    config = configure({"attention": attention, "seed": seed, "training.steps": STEPS})
    with recording() as seen:
        train(config, corpus)
    assert len(seen.batches) == STEPS
    return seen


@pytest.fixture(scope="module")
def baseline(configure: Configure, corpus: Corpus) -> Recording:
    return run(configure, corpus, "softmax")


def test_there_are_variants_to_compare() -> None:
    assert {"multi_token", "talking_heads", "differential"} <= set(VARIANTS)
    assert all(issubclass(FAMILIES["attention"].get(name), AttentionConfig) for name in VARIANTS)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_reads_the_baselines_batches_and_shares_its_start(
    configure: Configure, corpus: Corpus, baseline: Recording, variant: str
) -> None:
    seen = run(configure, corpus, variant)
    assert all(torch.equal(one, other) for one, other in zip(seen.batches, baseline.batches, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(seen.validated, baseline.validated, strict=True))
    shared = seen.start.keys() & baseline.start.keys()
    assert {"embedding.weight", "blocks.0.attention.query.weight", "blocks.3.feed_forward.down.weight"} <= shared
    assert [name for name in sorted(shared) if not torch.equal(seen.start[name], baseline.start[name])] == []


def test_the_model_reads_the_batch_of_each_step_in_order(
    configure: Configure, corpus: Corpus, baseline: Recording
) -> None:
    config = configure({"training.steps": STEPS})
    expected = TrainingBatches(
        {domain.name: corpus.tokens(domain.name, "train") for domain in corpus.domains},
        {"news": 0.5, "tales": 0.5},
        seed=derive(0, "batches"),
        steps=STEPS,
        batch_size=config.training.batch_size,
        context=config.model.context,
    )
    assert all(torch.equal(seen, expected[step][:, :-1]) for step, seen in enumerate(baseline.batches))


def test_another_layer_moves_no_weight_of_those_before_it(configure: Configure, corpus: Corpus) -> None:
    starts = []
    for layers in (2, 3):
        settings = {"model.layers": layers, "training.steps": 1, "training.validations": 1}
        with recording() as seen:
            train(configure({**settings, "training.warmup_steps": 0}), corpus)
        starts.append(seen.start)
    assert all(torch.equal(weight, starts[1][name]) for name, weight in starts[0].items())


def test_streams_of_different_purposes_differ() -> None:
    purposes = ("weights", "batches", "dropout")
    assert len({derive(seed, purpose) for seed in range(100) for purpose in purposes}) == 300
