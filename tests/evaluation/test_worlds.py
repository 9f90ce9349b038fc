"""Worlds: two of each task by hand, and a second reader that agrees on thousands of questions."""

import random
from collections import Counter

import pytest

from components.evaluations import worlds
from components.evaluations.worlds import Fact, Reader, story
from tests.evaluation.reading import solved

BY_HAND: dict[int, list[tuple[list[str], str, str]]] = {
    1: [
        (["Anna strolled to the attic.", "Boris came to the porch."], "In which place is Anna?", "attic"),
        (
            ["Anna strolled to the attic.", "Boris came to the attic.", "Anna headed for the cellar."],
            "In which place is Anna?",
            "cellar",
        ),
    ],
    2: [
        (
            ["Clara lifted the lamp.", "Clara came to the porch.", "Boris came to the attic."],
            "In which place is the lamp?",
            "porch",
        ),
        (
            [
                *("Clara came to the porch.", "Clara lifted the lamp.", "Clara let go of the lamp."),
                *("David collected the lamp.", "Clara hurried to the attic.", "David wandered off to the garage."),
            ],
            "In which place is the lamp?",
            "garage",
        ),
    ],
    3: [
        (
            ["Anna fetched the violin.", "Anna came to the porch.", "Anna hurried to the cellar."],
            "In which place was the violin before it came to the cellar?",
            "porch",
        ),
        (
            [
                *("Boris came to the garage.", "Boris lifted the basket.", "Boris came to the attic."),
                *("Boris came to the garage.", "Boris set down the basket.", "Boris headed for the porch."),
            ],
            "In which place was the basket before it came to the garage?",
            "attic",
        ),
    ],
    4: [
        (
            ["The attic lies north of the porch.", "The cellar lies south of the porch."],
            "Which place lies south of the porch?",
            "cellar",
        ),
        (
            ["The garage lies east of the library.", "The library lies east of the orchard."],
            "The library lies east of which place?",
            "orchard",
        ),
    ],
    5: [
        (
            ["Anna lifted the lamp.", "Anna lent the lamp to Boris.", "Boris came to the attic."],
            "To whom did Anna give the lamp?",
            "Boris",
        ),
        (
            [
                *("Anna lifted the lamp.", "Anna offered the lamp to Boris.", "Boris presented the lamp to Clara."),
                *("Anna lifted the basket.", "Anna lent the basket to Boris."),
            ],
            "Who gave the lamp away?",
            "Boris",
        ),
    ],
}
EACH = [(task, *world) for task, found in BY_HAND.items() for world in found]


@pytest.mark.parametrize(("task", "statements", "question", "answer"), EACH)
def test_two_worlds_of_each_task_are_solved_as_by_hand(
    task: int, statements: list[str], question: str, answer: str
) -> None:
    assert solved(statements, question) == answer
    assert answer in worlds.LABELS[task]


def heard(*facts: Fact) -> Reader:
    reader = Reader()
    for number, fact in enumerate(facts):
        reader.hear(number, fact)
    return reader


def test_a_reader_knows_what_follows_by_hand_and_from_which_statements() -> None:
    """The worlds of tasks 1 to 3 above, as facts."""
    reader = heard(Fact("go", "Anna", "attic"), Fact("go", "Boris", "attic"), Fact("go", "Anna", "cellar"))
    assert reader.people["Anna"] == ("cellar", {2})
    reader = heard(
        *(Fact("go", "Clara", "porch"), Fact("get", "Clara", "lamp"), Fact("drop", "Clara", "lamp")),
        *(Fact("get", "David", "lamp"), Fact("go", "Clara", "attic"), Fact("go", "David", "garage")),
    )
    assert reader.where("lamp") == ("garage", {3, 5})
    assert [known.place for known in reader.course["lamp"]] == ["porch", "garage"]
    reader = heard(Fact("get", "Anna", "violin"), Fact("go", "Anna", "porch"), Fact("go", "Anna", "cellar"))
    assert [known.place for known in reader.course["violin"]] == ["porch", "cellar"]
    assert reader.course["violin"][0].support | reader.course["violin"][1].support == {0, 1, 2}


def test_what_is_left_in_an_unknown_place_is_unknown() -> None:
    reader = heard(Fact("get", "Anna", "violin"), Fact("drop", "Anna", "violin"))
    assert reader.where("violin") is None
    assert heard(Fact("get", "Anna", "violin")).where("violin") is None


def agreement(task: int, questions: int) -> None:
    """Check questions of a task against the second reader, and what they are made of."""
    generator, asked = random.Random(task), []
    while len(asked) < questions:
        asked += story(task, generator)
    for one in asked:
        assert solved(one.statements, one.question) == one.answer, one
        support = [one.statements[place] for place in one.support]
        assert len(support) == {1: 1, 2: 2, 3: 3, 4: 1, 5: 1}[task]
    counts = Counter(one.answer for one in asked)
    assert set(counts) == set(worlds.LABELS[task])
    assert max(counts.values()) < 0.3 * len(asked)


@pytest.mark.parametrize("task", worlds.LABELS)
def test_a_second_reader_of_the_statements_agrees(task: int) -> None:
    agreement(task, 500)


@pytest.mark.slow
@pytest.mark.parametrize("task", worlds.LABELS)
def test_a_second_reader_agrees_on_ten_thousand_questions(task: int) -> None:
    agreement(task, 10_000)
