"""Score what a model answered: means by group, intervals over the questions, floors."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from components.evaluations.questions import Answer, Question, TextEvaluation
from components.metrics import Metric
from mta_lab.results.evaluated import GroupScores
from mta_lab.stats.means import mean_interval
from mta_lab.stats.proportions import of_one_seed

LARGEST = 700.0  # nats; exp of more is no number any more


def evaluated_by(
    evaluation: TextEvaluation, questions: Sequence[Question], answers: Sequence[Sequence[Answer]]
) -> dict[str, GroupScores]:
    """Return the scores by each metric of an evaluation, by its name.

    Raises:
        FloatingPointError: a score is no finite number.
    """
    values: dict[str, dict[str, list[float]]] = {metric.name: defaultdict(list) for metric in evaluation.metrics}
    for question, answered in zip(questions, answers, strict=True):
        for name, value in evaluation.measure(question, answered).items():
            values[name][question.group].append(value)
    return {metric.name: _scores(metric, values[metric.name]) for metric in evaluation.metrics if values[metric.name]}


def floors_of(questions: Sequence[Question]) -> dict[str, dict[str, float]]:
    """Return how often simple guesses are right, by name of the guess and by group."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for question in questions:
        for name, chance in question.guesses.items():
            found[name][question.group].append(chance)
    return {name: {group: fmean(chances) for group, chances in groups.items()} for name, groups in found.items()}


def _scores(metric: Metric, groups: Mapping[str, Sequence[float]]) -> GroupScores:
    made = {group: _score(metric, values) for group, values in groups.items()}
    return GroupScores(
        scores={group: score for group, (score, _, _) in made.items()},
        low={group: low for group, (_, low, _) in made.items()},
        high={group: high for group, (_, _, high) in made.items()},
        n={group: len(values) for group, values in groups.items()},
    )


def _score(metric: Metric, values: Sequence[float]) -> tuple[float, float, float]:
    """Return a group's score with its 95 % interval over the questions, the model as it is.

    Shares have Wilson's interval; means of nats Student's, from one question none beyond limits.
    """
    mean = fmean(values)
    if metric.is_share:
        return mean, *of_one_seed(mean, len(values))
    lowest, highest = mean_interval(values) or (-math.inf, math.inf)
    score = _exp(mean)
    if not math.isfinite(score):
        raise FloatingPointError(f"no finite {metric.words} of a mean loss of {mean:g} nats")
    largest = math.exp(LARGEST)
    return score, max(_exp(lowest), metric.least), min(_exp(highest), largest)


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < LARGEST else math.inf
