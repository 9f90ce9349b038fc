"""A stage starts from the weights of a finished run, with a new optimizer and other batches."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from components.attention import MultiToken
from components.norms import NoNorm
from mta_lab.config import RunConfig, started_from
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.training import InterruptedRunError, TrainingResult, tensors
from mta_lab.training.checkpoints import Checkpoints
from mta_lab.training.run import train
from tests.training.conftest import Configure
from tests.training.recorder import Recording, recording
from tests.training.test_resume import stopping_at

STEPS = {"training.steps": 4, "training.warmup_steps": 1, "training.validations": 2}


def trained(
    config: RunConfig, corpus: Corpus, folder: Path, start: Path | None = None, moments: tuple[int, ...] = ()
) -> tuple[TrainingResult, Path, Recording]:
    """Train, interrupted at each of the moments; return the result, the weights, what was seen."""
    weights = folder / "weights.pt"
    for interrupted in [*map(stopping_at, moments), lambda: False]:
        with recording() as seen:
            try:
                checkpoints = Checkpoints(folder / "run", start=start)
                result = train(config, corpus, checkpoints=checkpoints, weights=weights, interrupted=interrupted)
            except InterruptedRunError:
                continue
        return result, weights, seen
    raise AssertionError


@pytest.fixture(scope="module")
def base(
    configure: Configure, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunConfig, TrainingResult, Path, Recording]:
    config = configure({**STEPS, "attention": {"name": "softmax", "dropout": 0.1}})
    return config, *trained(config, corpus, tmp_path_factory.mktemp("base"))


Base = tuple[RunConfig, TrainingResult, Path, Recording]


def longer(config: RunConfig, **training: object) -> RunConfig:
    """Return a stage at twice the context."""
    settings = replace(config.training, **training)
    return started_from(config, replace(config, model=replace(config.model, context=32), training=settings))


def test_a_stage_starts_from_the_weights_of_its_parent(base: Base, corpus: Corpus, tmp_path: Path) -> None:
    config, _, weights, _ = base
    seen = trained(longer(config), corpus, tmp_path, weights)[2]
    kept = tensors.read(weights)
    assert seen.start.keys() == kept.keys()
    assert [name for name, value in kept.items() if not torch.equal(seen.start[name], value)] == []


def test_a_stage_reads_and_drops_what_its_parent_has_not(base: Base, corpus: Corpus, tmp_path: Path) -> None:
    """At the same context, where batches of one stream would be equal."""
    config, _, weights, first = base
    seen = trained(started_from(config, config), corpus, tmp_path, weights)[2]
    assert [torch.equal(one, other) for one, other in zip(first.batches, seen.batches, strict=True)] == [False] * 4
    assert [torch.equal(one, other) for one, other in zip(first.random, seen.random, strict=True)] == [False] * 4
    assert seen.rates == first.rates


def test_a_stage_of_no_steps_scores_what_its_parent_came_to(base: Base, corpus: Corpus, tmp_path: Path) -> None:
    config, result, weights, _ = base
    untrained = replace(config.training, steps=0, warmup_steps=0, validations=1)
    found, kept, _ = trained(started_from(config, replace(config, training=untrained)), corpus, tmp_path, weights)
    assert [one.step for one in found.validations] == [0]
    assert found.validations[0].domains == result.validations[-1].domains
    assert (found.losses, found.tokens_per_second, found.training_seconds) == ((), 0.0, 0.0)
    before, after = tensors.read(weights), tensors.read(kept)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_operations_that_a_stage_inserts_change_no_score_before_a_step(
    base: Base, corpus: Corpus, tmp_path: Path
) -> None:
    config, result, weights, _ = base
    untrained = replace(config.training, steps=0, warmup_steps=0, validations=1)
    inserted = MultiToken(dropout=0.1, norm=NoNorm())
    stage = started_from(config, replace(config, attention=inserted, training=untrained))
    found, kept, _ = trained(stage, corpus, tmp_path, weights)
    assert found.validations[0].domains == pytest.approx(result.validations[-1].domains, rel=1e-5)
    assert found.parameters > result.parameters
    assert len(tensors.read(kept)) > len(tensors.read(weights))


def test_no_steps_at_twice_the_context_read_longer_sequences(base: Base, corpus: Corpus, tmp_path: Path) -> None:
    config, _, weights, _ = base
    stage = longer(config, steps=0, warmup_steps=0, validations=1)
    seen = trained(stage, corpus, tmp_path, weights)[2]
    assert {batch.shape[-1] for batch in seen.validated} == {32}


@pytest.mark.parametrize("moments", [(0,), (2, 1), (5,)], ids=["at the start", "twice", "in a validation"])
def test_a_stage_that_is_interrupted_goes_on_to_the_bit(
    moments: tuple[int, ...], base: Base, corpus: Corpus, tmp_path: Path
) -> None:
    config, _, weights, _ = base
    (tmp_path / "whole").mkdir()
    whole, ended, _ = trained(longer(config), corpus, tmp_path / "whole", weights)
    parts, again, _ = trained(longer(config), corpus, tmp_path, weights, moments)
    assert (parts.losses, parts.validations) == (whole.losses, whole.validations)
    one, other = tensors.read(ended), tensors.read(again)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("left", ["nothing", "half", "another model's"])
def test_weights_that_no_stage_can_start_from_are_said(left: str, base: Base, corpus: Corpus, tmp_path: Path) -> None:
    config, _, weights, _ = base
    start = tmp_path / "0123456789abcdef.pt"
    if left == "half":
        start.write_bytes(weights.read_bytes()[:1000])
    elif left == "another model's":
        tensors.write(start, {"norm.weight": torch.ones(16)})
    with pytest.raises(UserError, match=r"0123456789abcdef.pt: the run cannot start from these weights \(.*\); delete"):
        trained(longer(config), corpus, tmp_path, start)
