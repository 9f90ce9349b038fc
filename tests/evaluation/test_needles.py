"""Needles: one at each depth by hand, floors, contexts, and what is refused."""

import re
from random import Random

import pytest

from components import ComponentError
from components.evaluations import Needles
from components.evaluations.needles import CITIES, placed
from components.evaluations.questions import Answer, Material, Question
from components.evaluations.scattering import at_gaps
from mta_lab.testing.question_conformance import material
from tests.evaluation.tables import scores_of

AROUND = ["Rain fell.", "Snow fell.", "Hail fell.", "Sleet fell."]
NEEDLE = re.compile(r"The magic number of ([\w ]+) is (\d+)\.")
ASKED = re.compile(r" ?The magic number of ([\w ]+) is$")


@pytest.mark.parametrize(
    ("depth", "text"),
    [
        (0, "N. Rain fell. Snow fell. Hail fell. Sleet fell."),
        (25, "Rain fell. N. Snow fell. Hail fell. Sleet fell."),
        (50, "Rain fell. Snow fell. N. Hail fell. Sleet fell."),
        (75, "Rain fell. Snow fell. Hail fell. N. Sleet fell."),
        (100, "Rain fell. Snow fell. Hail fell. Sleet fell. N."),
    ],
)
def test_a_needle_stands_at_each_depth_as_by_hand(depth: int, text: str) -> None:
    ((gap, _),) = placed(depth, 1, len(AROUND), Random(0))
    assert at_gaps([(gap, "N.")], AROUND) == text


def test_other_needles_stand_anywhere_and_never_before_one_at_the_start_or_behind_one_at_the_end() -> None:
    random = Random(0)
    for depth, side in ((0, min), (100, max)):
        found = [placed(depth, 4, 3, random) for _ in range(200)]
        assert all(side(places) == places[0] for places in found)
        assert {gap for places in found for gap, _ in places[1:]} == {0, 1, 2, 3}
    middle = [sorted(range(3), key=placed(50, 3, 0, random).__getitem__)[0] for _ in range(300)]
    assert all(80 < middle.count(needle) < 120 for needle in range(3)), "shuffled where all share one gap"


def parts(question: Question) -> tuple[dict[str, str], str, list[str]]:
    """Return the needles of a text in order, the city that is asked for, and the text's words."""
    asked = ASKED.search(question.prompt)
    assert asked
    return dict(NEEDLE.findall(question.prompt)), asked[1], question.prompt.split()


def test_a_reader_of_the_text_alone_finds_every_number() -> None:
    asked = Needles(samples=20, counts=(1, 3, 10)).ask(material())
    assert len(asked.questions) == 20 * 3 * 5
    for question in asked.questions:
        needles, city, words = parts(question)
        assert question.answers == (f" {needles[city]}",)
        count, depth = map(int, re.findall(r"\d+", question.group))
        assert len(needles) == count
        assert 580 < len(words) < material().context
        before = question.prompt.index(f"magic number of {city} is {needles[city]}.") / len(question.prompt)
        assert before == pytest.approx(depth / 100, abs=0.15)


def test_floors_are_those_that_a_hand_counts() -> None:
    for question in Needles(samples=10, counts=(4,)).ask(material()).questions:
        needles, city, _ = parts(question)
        numbers = [*needles.values()]
        assert question.guesses["any number at random"] == 1 / 9
        assert question.guesses["a number of the text at random"] == numbers.count(needles[city]) / 4
        most = max(map(numbers.count, numbers))
        common = {number for number in numbers if numbers.count(number) == most}  # several may be equally common
        assert question.guesses["its commonest number"] == (needles[city] in common) / len(common)
        assert question.guesses["its last number"] == (numbers[-1] == needles[city])
        if question.group.endswith(" 100 %"):
            assert question.guesses["its last number"] == 1


def test_numbers_and_cities_come_about_equally_often() -> None:
    asked = Needles(samples=300, counts=(2,), depths=(50,)).ask(material()).questions
    numbers = [question.answers[0].strip() for question in asked]
    assert {*numbers} == {*map(str, range(1, 10))}
    assert max(map(numbers.count, {*numbers})) < 60
    assert len({parts(question)[1] for question in asked}) == len(CITIES)


def test_a_number_counts_if_it_is_written_whole_and_ends() -> None:
    question = Question("2 needles, 0 %", "The magic number of Oslo is", (" 8",))
    for greedy, ends, score in ((True, True, 1), (True, False, 0), (False, True, 0)):  # 83 begins like 8
        assert Needles().measure(question, [Answer(-1.0, greedy, ends)]) == {"needle_accuracy": score}


def test_a_table_that_knows_one_number_finds_just_that() -> None:
    """A model that says 3 after each `is` is right where the number is 3."""
    evaluation = Needles(samples=40, counts=(2,), depths=(0, 100))
    asked = evaluation.ask(material()).questions
    words = re.findall(r"\w+|[^\w\s]+", " ".join(f"{one.prompt} 1 2 3 4 5 6 7 8 9" for one in asked))
    found = scores_of(evaluation, material(), {"is": {"3": 1.0}, "3": {".": 1.0}}, words)["needle_accuracy"]
    for group in ("2 needles, 0 %", "2 needles, 100 %"):
        answers = [one.answers[0] for one in asked if one.group == group]
        assert found.scores[group] == answers.count(" 3") / 40
        assert found.n[group] == 40
        assert found.low[group] < found.scores[group] < found.high[group]


def test_contexts_have_groups_of_their_own_and_are_filled() -> None:
    asked = Needles(samples=5, counts=(2,), depths=(50,), contexts=(100, 400)).ask(material())
    sizes: dict[str, list[int]] = {}
    for question in asked.questions:
        sizes.setdefault(question.group, []).append(len(f"{question.prompt} 1".split()))
    assert [*sizes] == ["2 needles, 100 tokens, 50 %", "2 needles, 400 tokens, 50 %"]
    assert all(380 < size <= 400 for size in sizes["2 needles, 400 tokens, 50 %"])
    assert all(80 < size <= 100 for size in sizes["2 needles, 100 tokens, 50 %"])


def small(context: int) -> Material:
    return Material(documents=material().documents, tokens=material().tokens, context=context)


def test_counts_that_do_not_fit_are_left_out_and_told() -> None:
    asked = Needles(samples=2).ask(small(60))
    assert {question.group.split(",")[0] for question in asked.questions} == {"2 needles", "4 needles", "6 needles"}
    assert asked.notes == [
        f"{count} needles and a question need {size} tokens, not 60" for count, size in ((8, 76), (10, 90))
    ]


def test_a_context_smaller_than_the_needles_is_one_line() -> None:
    with pytest.raises(ComponentError, match="2 needles and a question need 28 tokens, not 20; fewer") as refused:
        Needles().ask(small(20))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"counts": (0,)}, r"counts: got \[0\], allowed: numbers from 1 to 40, each once"),
        ({"depths": (0, 101)}, r"depths: got \[0, 101\], allowed: numbers from 0 to 100"),
        ({"depths": ()}, r"depths: got \[\]"),
        ({"largest": 1}, r"largest: got 1, allowed: 2 or more"),
        ({"samples": 0}, r"samples: got 0, allowed: 1 or more"),
    ],
)
def test_settings_that_nothing_can_be_asked_by_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ComponentError, match=said):
        Needles(**settings)  # type: ignore[arg-type]


def test_a_context_beyond_what_may_be_read_is_refused() -> None:
    with pytest.raises(ComponentError, match="contexts: got 700, allowed: at most 600; context=700 allows it"):
        Needles(contexts=(100, 700)).ask(material())
