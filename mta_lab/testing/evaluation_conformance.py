"""The contract that every evaluation keeps, shipped or yours; see `conformance`.

Shapes: B sequences, T predictions each, V classes; N values of a batch.
"""

import math
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from components import ComponentError
from components.evaluations import Evaluation, Predicted, Scoring, TextEvaluation
from components.metrics import METRICS
from mta_lab.testing.subjects import under_test

BATCH, TOKENS, CLASSES = 6, 5, 32


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over every evaluation under test."""
    if "evaluation" in metafunc.fixturenames:
        found = [
            variant()
            for variant in under_test()[0]
            if issubclass(variant, Evaluation) and not issubclass(variant, TextEvaluation)
        ]
        metafunc.parametrize("evaluation", found, ids=lambda evaluation: evaluation.name)


def batch(count: int = BATCH, *, masked: bool = True, seed: int = 0) -> Predicted:
    """Return random predictions of `count` sequences; with `masked`, only some targets count."""
    generator = torch.Generator().manual_seed(seed)
    logits_BTV = torch.randn(count, TOKENS, CLASSES, generator=generator)
    targets_BT = torch.randint(CLASSES, (count, TOKENS), generator=generator)
    scored_BT = torch.rand(count, TOKENS, generator=generator) < 0.5
    scored_BT[:, -1] = True
    return Predicted(logits_BTV, targets_BT, scored_BT if masked else None, compiled=False)


def saying(said_BT: Tensor, predicted: Predicted) -> Predicted:
    """Return the batch as a model predicts it that is certain of the tokens `said_BT`."""
    return predicted._replace(logits=8.0 * torch.nn.functional.one_hot(said_BT, CLASSES).float())


def right_and_wrong(predicted: Predicted) -> tuple[Predicted, Predicted]:
    """Return the batch as predicted by a model that knows all targets, and one that knows none."""
    return saying(predicted.targets, predicted), saying((predicted.targets + 1) % CLASSES, predicted)


def score(evaluation: Evaluation, predicted: Predicted) -> float:
    """Return the score of a domain that is this batch."""
    return evaluation.score(evaluation.values(predicted).double().mean().item())


def parts(predicted: Predicted, sizes: tuple[int, ...]) -> Iterator[Predicted]:
    """Yield the batch in smaller ones."""
    start = 0
    for size in sizes:
        some = slice(start, start := start + size)
        scored = None if predicted.scored is None else predicted.scored[some]
        yield Predicted(predicted.logits[some], predicted.targets[some], scored, compiled=False)


def test_its_metric_is_known_by_its_name(evaluation: Evaluation) -> None:
    assert METRICS.get(evaluation.metric.name) == evaluation.metric


def test_a_batch_has_a_finite_value_for_each_thing_that_is_scored(evaluation: Evaluation) -> None:
    """Values are numbers or truth values, at least one and no more than the targets that count."""
    for predicted in (batch(), batch(masked=False), batch(1)):
        values_N = evaluation.values(predicted)
        targets = predicted.targets.numel() if predicted.scored is None else int(predicted.scored.sum())
        assert values_N.dim() == 1, f"return a list of values [N], got the shape {list(values_N.shape)}"
        assert values_N.dtype == torch.bool or values_N.is_floating_point(), f"got {values_N.dtype}"
        assert 1 <= len(values_N) <= targets, f"got {len(values_N)} values of a batch in which {targets} targets count"
        assert values_N.double().isfinite().all()


def test_a_score_is_finite_and_within_the_limits_of_its_metric(evaluation: Evaluation) -> None:
    for predicted in (batch(), batch(masked=False), *right_and_wrong(batch())):
        found = score(evaluation, predicted)
        assert math.isfinite(found)
        assert evaluation.metric.least <= found <= evaluation.metric.most


def test_a_model_that_knows_is_better_than_one_that_errs(evaluation: Evaluation) -> None:
    right, wrong = (score(evaluation, predicted) for predicted in right_and_wrong(batch()))
    assert evaluation.metric.is_better(right - wrong), "is its metric's higher_is_better the other way?"


def test_the_same_batch_has_the_same_values(evaluation: Evaluation) -> None:
    """Values depend on the batch alone: not on random numbers, nor on the batches before it."""
    first_N = evaluation.values(batch())
    evaluation.values(batch(seed=1))
    torch.rand(3)
    assert torch.equal(evaluation.values(batch()), first_N)


def test_the_size_of_a_batch_makes_no_difference(evaluation: Evaluation) -> None:
    """Values of a batch are those of its parts, however many sequences are read at once."""
    for whole in (batch(), batch(masked=False)):
        whole_N = evaluation.values(whole).double()
        for sizes in ((1,) * BATCH, (4, 2)):
            found_N = torch.cat([evaluation.values(part).double() for part in parts(whole, sizes)])
            assert len(found_N) == len(whole_N), f"{len(whole_N)} values of a batch, {len(found_N)} of its parts"
            torch.testing.assert_close(found_N, whole_N)


def test_what_is_not_scored_makes_no_difference(evaluation: Evaluation) -> None:
    predicted = batch()
    assert predicted.scored is not None
    right, wrong = right_and_wrong(predicted)
    for here, elsewhere in ((right, wrong), (wrong, right)):
        mixed_BTV = torch.where(predicted.scored[..., None], here.logits, elsewhere.logits)
        assert torch.equal(evaluation.values(here._replace(logits=mixed_BTV)), evaluation.values(here))


def test_no_mask_means_that_every_target_is_scored(evaluation: Evaluation) -> None:
    whole = batch(masked=False)
    masked = whole._replace(scored=torch.ones_like(whole.targets, dtype=torch.bool))
    torch.testing.assert_close(evaluation.values(whole), evaluation.values(masked))


def test_it_leaves_what_it_is_given_as_it_was(evaluation: Evaluation) -> None:
    """Other evaluations read the same predictions after it."""
    predicted, as_it_was = batch(), batch()
    assert predicted.scored is not None
    assert as_it_was.scored is not None
    evaluation.values(predicted)
    assert torch.equal(predicted.logits, as_it_was.logits)
    assert torch.equal(predicted.targets, as_it_was.targets)
    assert torch.equal(predicted.scored, as_it_was.scored)


def test_it_draws_no_global_random_number(evaluation: Evaluation) -> None:
    """A run that is scored at a validation goes on as one that is not."""
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    evaluation.values(batch())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # type: ignore[index]


def test_each_domain_has_the_mean_and_the_count_of_its_own_values(evaluation: Evaluation) -> None:
    batches = {"small": [batch(2, seed=1)], "large": [batch(seed=2), batch(3, seed=3)]}
    scoring = Scoring([evaluation], [*batches])
    for number, of_domain in enumerate(batches.values()):
        for predicted in of_domain:
            scoring.add(number, predicted)
    found = scoring.taken()[evaluation.metric.name]
    for domain, of_domain in batches.items():
        values_N = torch.cat([evaluation.values(predicted) for predicted in of_domain]).double()
        assert found.scored[domain] == len(values_N)
        assert found.domains[domain] == pytest.approx(evaluation.score(values_N.mean().item()))


def test_nothing_held_out_is_one_clear_line(evaluation: Evaluation) -> None:
    """A batch without a sequence has no value, and a domain of nothing else no score."""
    assert len(evaluation.values(batch(0))) == 0
    scoring = Scoring([evaluation], ["empty"])
    scoring.add(0, batch(0))
    with pytest.raises(ComponentError, match=r"domain 'empty' holds nothing that is scored") as refused:
        scoring.taken()
    assert "\n" not in str(refused.value)
