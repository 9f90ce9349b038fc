"""The contract that every task keeps, shipped or yours; see `conformance`."""

from dataclasses import replace

import pytest
import torch

from components import ComponentError
from components.metrics import METRICS
from components.tasks import GroupedTask, SyntheticTask, TaskConfig
from mta_lab.testing.subjects import under_test

COUNT = 50


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over every task under test, or over those whose sequences are made."""
    tasks = [variant() for variant in under_test()[0] if issubclass(variant, TaskConfig)]
    made = [task for task in tasks if isinstance(task, SyntheticTask)]
    for name, cases in (("any_task", tasks), ("task", made)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, cases, ids=lambda task: task.name)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_what_scores_it_is_a_known_metric(any_task: TaskConfig) -> None:
    assert METRICS[any_task.metric.name] == any_task.metric


def test_shapes_and_range(task: SyntheticTask) -> None:
    """Every count of sequences has the length and the tokens that a model is built for."""
    for count in (1, COUNT):
        tokens, scored = task.sequences(count, generator())
        assert (tokens.shape, tokens.dtype) == ((count, task.context + 1), torch.int64)
        assert (scored.shape, scored.dtype) == ((count, task.context), torch.bool)
        assert tokens.min() >= 0
        assert tokens.max() < task.vocabulary


def test_every_sequence_has_something_scored_and_something_to_read(task: SyntheticTask) -> None:
    _, scored = task.sequences(COUNT, generator())
    assert scored.any(dim=-1).all()
    assert not scored[:, 0].any()


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


def test_sequences_differ(task: SyntheticTask) -> None:
    tokens, _ = task.sequences(COUNT, generator())
    assert len({tuple(sequence) for sequence in tokens.tolist()}) == COUNT


def test_text_tells_sequences_apart(task: SyntheticTask) -> None:
    tokens, _ = task.sequences(COUNT, generator())
    assert len({task.text(sequence) for sequence in tokens}) == COUNT


def test_a_model_that_does_not_fit_is_refused(task: SyntheticTask) -> None:
    longest = task.longest if isinstance(task, GroupedTask) else task.context
    task.check(vocabulary=task.vocabulary, context=longest)
    task.check(vocabulary=task.vocabulary, context=longest + 10)
    for vocabulary in (task.vocabulary - 1, task.vocabulary + 1):
        with pytest.raises(ComponentError, match=rf"{task.name} needs model.vocabulary={task.vocabulary}, got"):
            task.check(vocabulary=vocabulary, context=longest)
    with pytest.raises(ComponentError, match=rf"{task.name} needs model.context={longest} or more"):
        task.check(vocabulary=task.vocabulary, context=longest - 1)


def test_groups_are_scored_apart(task: SyntheticTask) -> None:
    """Each has as many sequences as are held out, and floors for each."""
    if not isinstance(task, GroupedTask):
        pytest.skip("its held-out sequences are one group")
    few = replace(task, held_out=3)
    assert len(set(few.groups)) == len(few.groups)
    assert all(list(by_group) == list(few.groups) for by_group in few.floors().values())
    for group in few.groups:
        tokens, scored = few.held_out_of(group, generator())
        assert tokens.shape == (3, scored.shape[1] + 1)
        assert scored.shape[1] <= few.longest
        assert scored.any(dim=-1).all()
        assert torch.equal(few.held_out_of(group, generator())[0], tokens)
