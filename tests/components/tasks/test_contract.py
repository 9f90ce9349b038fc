"""The contract that every registered task keeps, shipped or yours (MTA_LAB_COMPONENTS, as in test_conformance)."""

import pytest
import torch

from components import ComponentError
from components.metrics import METRICS
from components.tasks import SyntheticTask, TaskConfig
from tests.components.subjects import VARIANTS

TASKS = [variant() for variant in VARIANTS if issubclass(variant, TaskConfig)]
SYNTHETIC = [task for task in TASKS if isinstance(task, SyntheticTask)]
COUNT = 50

every_synthetic = pytest.mark.parametrize("task", SYNTHETIC, ids=lambda task: task.name)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_there_are_tasks() -> None:
    assert {"language", "find_block"} <= {task.name for task in TASKS}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_what_scores_it_is_a_known_metric(task: TaskConfig) -> None:
    assert METRICS[task.metric.name] == task.metric


@every_synthetic
def test_shapes_and_range(task: SyntheticTask) -> None:
    """Every count of sequences has the length and the tokens that a model is built for."""
    for count in (1, COUNT):
        tokens, scored = task.sequences(count, generator())
        assert (tokens.shape, tokens.dtype) == ((count, task.context + 1), torch.int64)
        assert (scored.shape, scored.dtype) == ((count, task.context), torch.bool)
        assert tokens.min() >= 0
        assert tokens.max() < task.vocabulary


@every_synthetic
def test_every_sequence_has_something_scored_and_something_to_read(task: SyntheticTask) -> None:
    _, scored = task.sequences(COUNT, generator())
    assert scored.any(dim=-1).all()
    assert not scored[:, 0].any()


@every_synthetic
def test_sequences_depend_on_the_generator_alone(task: SyntheticTask) -> None:
    first = task.sequences(COUNT, generator())
    torch.rand(3)  # whatever else is drawn has no part in it
    before = torch.get_rng_state()
    again = task.sequences(COUNT, generator())
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(task.sequences(COUNT, generator(1))[0], first[0])
    going_on = generator()
    task.sequences(COUNT, going_on)
    assert not torch.equal(task.sequences(COUNT, going_on)[0], first[0])


@every_synthetic
def test_sequences_differ(task: SyntheticTask) -> None:
    tokens, _ = task.sequences(COUNT, generator())
    assert len(tokens.unique(dim=0)) == COUNT


@every_synthetic
def test_text_tells_sequences_apart(task: SyntheticTask) -> None:
    tokens, _ = task.sequences(COUNT, generator())
    assert len({task.text(sequence) for sequence in tokens}) == COUNT


@every_synthetic
def test_a_model_that_does_not_fit_is_refused(task: SyntheticTask) -> None:
    task.check(vocabulary=task.vocabulary, context=task.context)
    task.check(vocabulary=task.vocabulary, context=task.context + 10)
    for vocabulary in (task.vocabulary - 1, task.vocabulary + 1):
        with pytest.raises(ComponentError, match=rf"{task.name} needs model.vocabulary={task.vocabulary}, got"):
            task.check(vocabulary=vocabulary, context=task.context)
    with pytest.raises(ComponentError, match=rf"{task.name} needs model.context={task.context} or more, got"):
        task.check(vocabulary=task.vocabulary, context=task.context - 1)
