"""The contract that every evaluation keeps which asks questions of its own; see `conformance`."""

import math
import random
from collections.abc import Sequence
from functools import cache

import pytest
import torch

from components.evaluations import HarnessEvaluation, TextEvaluation
from components.evaluations.questions import Answer, Material, Question
from components.metrics import METRICS
from mta_lab.testing.subjects import under_test

CONTEXT = 600
ASKED = 3  # answers of an exercise
NOUNS = ("river", "garden", "letter", "window", "winter", "mountain", "village", "teacher", "market", "forest")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over every such evaluation under test that makes its questions itself."""
    if "asking" in metafunc.fixturenames:
        found = [
            variant()
            for variant in under_test()[0]
            if issubclass(variant, TextEvaluation) and not issubclass(variant, HarnessEvaluation)
        ]
        metafunc.parametrize("asking", found, ids=lambda evaluation: evaluation.name)


def prose(documents: int = 12, sentences: int = 60) -> list[str]:
    """Return documents of simple sentences, in which nouns come again."""
    generator = random.Random(0)
    forms = ("The {} was beside the {} and near the {}.", "Nobody saw the {} or the {} before the {}.")
    return [
        " ".join(generator.choice(forms).format(*generator.sample(NOUNS, 3)) for _ in range(sentences))
        for _ in range(documents)
    ]


def material() -> Material:
    """Return held-out text of one domain, in which a token is a word."""
    return Material(documents={"book": prose()}, tokens=_words, context=CONTEXT)


def _words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


@cache
def questions(evaluation: TextEvaluation) -> Sequence[Question]:
    """Return what the evaluation asks about the prose."""
    return evaluation.ask(material()).questions


def test_all_its_metrics_are_known_by_their_names(asking: TextEvaluation) -> None:
    assert all(METRICS.get(metric.name) == metric for metric in asking.metrics)


def test_each_question_has_a_right_answer_among_its_answers(asking: TextEvaluation) -> None:
    asked = questions(asking)
    assert asked
    for question in asked:
        assert 0 <= question.right < len(question.answers) == len({*question.answers})
        assert all(answer.startswith(" ") and answer.strip() for answer in question.answers)
        assert question.prompt == question.prompt.rstrip(), "the blank is the answer's"
        assert question.group


def test_guesses_are_probabilities(asking: TextEvaluation) -> None:
    assert all(0 <= chance <= 1 for question in questions(asking) for chance in question.guesses.values())


def test_the_same_questions_come_again(asking: TextEvaluation) -> None:
    """They depend on settings and material alone, and on no global random number."""
    first, before = questions(asking), (torch.get_rng_state(), random.getstate())
    random.random()
    torch.rand(3)
    state = torch.get_rng_state(), random.getstate()
    assert asking.ask(material()).questions == first
    assert torch.equal(torch.get_rng_state(), state[0])
    assert random.getstate() == state[1]
    torch.set_rng_state(before[0])


def test_exercises_depend_on_what_they_are_drawn_from_alone(asking: TextEvaluation) -> None:
    """They have answers, as many as are allowed at most, and fit into the context."""
    draw = asking.exercises(material(), ASKED)
    for seed in range(5):
        exercise = draw(random.Random(seed))
        assert draw(random.Random(seed)) == exercise
        assert 1 <= len(exercise) <= ASKED
        assert all(text == text.rstrip() and answer.startswith(" ") for text, answer in exercise)
        assert sum(_words([part for both in exercise for part in both])) <= CONTEXT


def test_a_model_that_knows_is_better_than_one_that_errs(asking: TextEvaluation) -> None:
    """Each measurement is finite, and on the right side, by every metric."""
    found: dict[str, list[tuple[float, float]]] = {metric.name: [] for metric in asking.metrics}
    for question in questions(asking):
        knows, errs = (asking.measure(question, answers(question, knows=knows)) for knows in (True, False))
        assert knows.keys() == errs.keys() <= found.keys()
        for name in knows:
            assert math.isfinite(knows[name])
            assert math.isfinite(errs[name])
            found[name].append((knows[name], errs[name]))
    for metric in asking.metrics:
        assert found[metric.name], f"no question is measured by {metric.name}"
        right, wrong = (sum(values) / len(values) for values in zip(*found[metric.name], strict=True))
        assert metric.is_better(right - wrong), "is its metric's higher_is_better the other way?"


def answers(question: Question, *, knows: bool) -> list[Answer]:
    """Return the answers of a model that is certain of the right answer, or that it is wrong."""
    return [
        Answer(log_probability=-0.1, greedy=True, ends=True)
        if (place == question.right) == knows
        else Answer(log_probability=-9.0, greedy=False, ends=True)
        for place in range(len(question.answers))
    ]
