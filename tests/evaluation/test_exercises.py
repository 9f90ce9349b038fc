"""Exercises: each answer follows from the text before it, read by solvers of the text."""

import re
from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from components import ComponentError
from components.evaluations import BabiLong, LastWord, Needles
from components.evaluations.questions import Exercise, Material
from mta_lab.testing.question_conformance import material
from tests.evaluation.reading import solved

NEEDLE = re.compile(r"The magic number of ([\w ]+) is (\d+)\.")
ASKED = re.compile(r"The magic number of ([\w ]+) is$")


def size(exercise: Exercise) -> int:
    """Return its tokens, which are words here."""
    return sum(material().tokens([text for part in exercise for text in part]))


def small(context: int) -> Material:
    return Material(documents=material().documents, tokens=material().tokens, context=context)


def test_a_reader_of_the_text_alone_answers_each_question_on_needles() -> None:
    draw = Needles(counts=(1, 3, 6)).exercises(material(), asked=4)
    counts = Counter[int]()
    for seed in range(15):
        exercise = draw(Random(seed))
        (text, _), *more = exercise
        told = dict(NEEDLE.findall(text))
        counts[len(told)] += 1
        assert len(exercise) == min(4, len(told))
        for asks, answer in exercise:
            city = ASKED.search(asks)
            assert city
            assert answer == f" {told[city[1]]}"
        assert all(asks.startswith(". The magic") for asks, _ in more), "a question is a needle's own sentence"
        assert 500 < size(exercise) <= material().context
    assert set(counts) == {1, 3, 6}


def test_needles_are_asked_for_with_replacement() -> None:
    draw = Needles(counts=(3,)).exercises(material(), asked=2)
    again = 0
    for seed in range(120):
        (first, _), (second, _) = draw(Random(seed))
        cities = [match[1] for text in (first, second) if (match := ASKED.search(text))]
        again += cities[0] == cities[1]
    assert 24 < again < 57, "one in three"


def told_so_far(parts: Sequence[str]) -> list[str]:
    """Return the statements of a story, without the sentences around them and the questions."""
    text = " ".join(part.partition("\nQuestion:")[0] for part in parts)
    return [line for line in re.findall(r"[A-Z][^.]*\.", text) if not re.search("was beside|Nobody saw", line)]


@pytest.mark.parametrize("task", [1, 2, 3, 4, 5])
def test_a_reader_of_the_text_alone_answers_each_question_on_facts(task: int) -> None:
    draw = BabiLong(tasks=(task,), distraction=(0, 60)).exercises(material(), asked=3)
    lengths = Counter[int]()
    for seed in range(5):
        exercise = draw(Random(seed))
        assert 1 <= len(exercise) <= (1 if task == 4 else 3)
        for number, (text, answer) in enumerate(exercise, start=1):
            asks = re.search(r"\nQuestion: (.*)\nAnswer:$", text)
            assert asks
            assert solved(told_so_far([part for part, _ in exercise[:number]]), asks[1]) == answer.strip()
        lengths[sum(text.count("was beside") + text.count("Nobody saw") for text, _ in exercise) > 0] += 1
        assert size(exercise) <= material().context
    assert set(lengths) == {False, True}, "with other text around, and without"


def test_long_stories_are_cut_behind_a_question_and_others_drawn_anew() -> None:
    draw = BabiLong(tasks=(1,), distraction=(0,)).exercises(small(60), asked=5)
    exercises = [draw(Random(seed)) for seed in range(8)]
    assert all(size(exercise) <= 60 for exercise in exercises)
    assert 1 < max(map(len, exercises)) < 5


def test_other_evaluations_exercise_their_own_questions() -> None:
    draw = LastWord().exercises(material(), asked=4)
    ((text, answer),) = draw(Random(0))
    assert answer.strip().lower() in text.lower()
    assert draw(Random(0)) == draw(Random(0)) != draw(Random(1))


def test_a_context_smaller_than_the_needles_is_one_line() -> None:
    with pytest.raises(
        ComponentError, match="counts: no text of 30 tokens holds 4 needles and its questions"
    ) as refused:
        Needles(counts=(4, 6)).exercises(small(30), asked=4)
    assert "\n" not in str(refused.value)


def test_a_context_smaller_than_any_story_is_one_line() -> None:
    draw = BabiLong(tasks=(2,)).exercises(small(10), asked=1)
    with pytest.raises(ComponentError, match=r"no story of tasks \[2\] fits into 10 tokens"):
        draw(Random(0))
