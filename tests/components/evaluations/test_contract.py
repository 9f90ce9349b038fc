"""The contract that every registered evaluation keeps, shipped or yours (MTA_LAB_COMPONENTS)."""

import math

import pytest
import torch

from components.evaluations import ErrorRate, Evaluation, Perplexity, Predicted, TokenAccuracy
from components.metrics import METRICS
from mta_lab.testing.subjects import VARIANTS

EVALUATIONS = [variant() for variant in VARIANTS if issubclass(variant, Evaluation)]
TARGETS = torch.tensor([[0, 1, 2], [2, 1, 0]])
SCORED = torch.tensor([[True, True, False], [False, True, True]])

every = pytest.mark.parametrize("evaluation", EVALUATIONS, ids=lambda evaluation: evaluation.name)


def predicted(said: torch.Tensor, scored: torch.Tensor | None, certainty: float = 5.0) -> Predicted:
    """Predictions of the tokens `said`, more or less certain."""
    return Predicted(certainty * torch.nn.functional.one_hot(said, 4).float(), TARGETS, scored, compiled=False)


def score(evaluation: Evaluation, said: torch.Tensor, scored: torch.Tensor | None = None) -> float:
    return evaluation.score(evaluation.values(predicted(said, scored)).double().mean().item())


def test_those_that_ship_are_registered() -> None:
    assert {"perplexity", "error_rate", "token_accuracy"} <= {evaluation.name for evaluation in EVALUATIONS}


@every
def test_its_metric_is_known_by_its_name(evaluation: Evaluation) -> None:
    assert METRICS[evaluation.metric.name] is evaluation.metric


@every
@pytest.mark.parametrize("scored", [None, SCORED], ids=["all", "some"])
def test_a_score_lies_within_the_limits_of_its_metric(evaluation: Evaluation, scored: torch.Tensor | None) -> None:
    for said in (TARGETS, (TARGETS + 1) % 4):
        assert evaluation.metric.least <= score(evaluation, said, scored) <= evaluation.metric.most


@every
def test_what_is_not_scored_does_not_matter(evaluation: Evaluation) -> None:
    elsewhere = torch.where(SCORED, TARGETS, (TARGETS + 1) % 4)
    assert score(evaluation, elsewhere, SCORED) == score(evaluation, TARGETS, SCORED)


@every
def test_a_model_that_knows_is_better_than_one_that_errs(evaluation: Evaluation) -> None:
    right, wrong = score(evaluation, TARGETS), score(evaluation, (TARGETS + 1) % 4)
    assert evaluation.metric.is_better(right - wrong)


def test_their_values_are_those_that_a_hand_computes() -> None:
    one_wrong = TARGETS.clone()
    one_wrong[0, 0] = 3
    assert score(ErrorRate(), one_wrong) == 0.5
    assert score(TokenAccuracy(), one_wrong) == pytest.approx(5 / 6)
    assert score(TokenAccuracy(), one_wrong, SCORED) == 0.75
    assert score(Perplexity(), TARGETS) == pytest.approx(1 + 3 * math.exp(-5))
    assert Perplexity().score(701.0) == math.inf
