"""The shipped evaluations keep the contract of `mta_lab.testing`; each check of it can fail."""

import math
from collections.abc import Callable
from itertools import count

import pytest
import torch
from torch import Tensor

from components import FAMILIES
from components.evaluations import ErrorRate, Evaluation, Perplexity, Predicted, TokenAccuracy
from components.metrics import Metric
from mta_lab.testing import evaluation_conformance as contract
from mta_lab.testing.evaluation_conformance import *  # noqa: F403  # its tests and its hook

TARGETS = torch.tensor([[0, 1, 2], [2, 1, 0]])
SCORED = torch.tensor([[True, True, False], [False, True, True]])
CALLS = count()


def test_those_that_ship_are_registered() -> None:
    assert {"perplexity", "error_rate", "token_accuracy"} <= {one.name for one in FAMILIES["evaluations"].registered()}


def test_their_values_are_those_that_a_hand_computes() -> None:
    def score(evaluation: Evaluation, said: Tensor, scored: Tensor | None = None) -> float:
        logits = 5.0 * torch.nn.functional.one_hot(said, 4).float()
        return contract.score(evaluation, Predicted(logits, TARGETS, scored, compiled=False))

    one_wrong = TARGETS.clone()
    one_wrong[0, 0] = 3
    assert score(ErrorRate(), one_wrong) == 0.5
    assert score(TokenAccuracy(), one_wrong) == pytest.approx(5 / 6)
    assert score(TokenAccuracy(), one_wrong, SCORED) == 0.75
    assert score(Perplexity(), TARGETS) == pytest.approx(1 + 3 * math.exp(-5))
    assert Perplexity().score(701.0) == math.inf


class Right(Evaluation):
    """A right evaluation; each of those below breaks one thing of it."""

    metric = TokenAccuracy.metric

    def values(self, predicted: Predicted) -> Tensor:
        return TokenAccuracy().values(predicted)


class Undeclared(Right):
    metric = property(lambda self: Metric(name="unheard_of", estimator="proportions", most=1.0))  # type: ignore[assignment]


class Averaged(Right):
    def values(self, predicted: Predicted) -> Tensor:
        return super().values(predicted).double().mean()


class InPercent(Right):
    def score(self, mean: float) -> float:
        return 100.0 * mean


class Inverted(Right):
    def values(self, predicted: Predicted) -> Tensor:
        return ~super().values(predicted)


class Remembering(Right):
    def values(self, predicted: Predicted) -> Tensor:
        return super().values(predicted).double() + 1e-3 * next(CALLS)


class AgainstTheBatch(Right):
    def values(self, predicted: Predicted) -> Tensor:
        values_N = super().values(predicted).double()
        return values_N - values_N.mean()


class Unmasked(Right):
    def values(self, predicted: Predicted) -> Tensor:
        return (predicted.logits.argmax(-1) == predicted.targets).double().mean(-1)


class LastTokenWithoutMask(Right):
    def values(self, predicted: Predicted) -> Tensor:
        if predicted.scored is not None:
            return super().values(predicted)
        return (predicted.logits.argmax(-1) == predicted.targets)[:, -1]


class Overwriting(Right):
    def values(self, predicted: Predicted) -> Tensor:
        values_N = super().values(predicted)
        predicted.logits.neg_()
        return values_N


class Drawing(Right):
    def values(self, predicted: Predicted) -> Tensor:
        torch.rand(1)
        return super().values(predicted)


class NeverEmpty(Right):
    def values(self, predicted: Predicted) -> Tensor:
        values_N = super().values(predicted)
        return values_N if len(values_N) else torch.zeros(1)


WRONG: dict[Callable[[Evaluation], None], type[Evaluation]] = {
    contract.test_its_metric_is_known_by_its_name: Undeclared,
    contract.test_a_batch_has_a_finite_value_for_each_thing_that_is_scored: Averaged,
    contract.test_a_score_is_finite_and_within_the_limits_of_its_metric: InPercent,
    contract.test_a_model_that_knows_is_better_than_one_that_errs: Inverted,
    contract.test_the_same_batch_has_the_same_values: Remembering,
    contract.test_the_size_of_a_batch_makes_no_difference: AgainstTheBatch,
    contract.test_what_is_not_scored_makes_no_difference: Unmasked,
    contract.test_no_mask_means_that_every_target_is_scored: LastTokenWithoutMask,
    contract.test_it_leaves_what_it_is_given_as_it_was: Overwriting,
    contract.test_it_draws_no_global_random_number: Drawing,
    contract.test_each_domain_has_the_mean_and_the_count_of_its_own_values: Remembering,
    contract.test_nothing_held_out_is_one_clear_line: NeverEmpty,
}
"""each check, and an evaluation that it refuses"""


def test_every_check_has_an_evaluation_that_it_refuses() -> None:
    checks = {value for name, value in vars(contract).items() if name.startswith("test_")}
    assert set(WRONG) == checks


@pytest.mark.parametrize("check", WRONG, ids=lambda check: check.__name__.removeprefix("test_"))
def test_a_wrong_evaluation_is_refused(check: Callable[[Evaluation], None]) -> None:
    with torch.random.fork_rng(devices=[]):
        check(Right())
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            check(WRONG[check]())
