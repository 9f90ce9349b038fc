"""Needles of symbols: by hand, read by a solver of the text alone, and what is refused."""

from typing import Any

import pytest
import torch

from components import ComponentError
from components.tasks import SymbolNeedles
from components.tasks.needles import NEEDLE, _places
from mta_lab.training.synthetic import held_out

SMALL: dict[str, Any] = {"halves": 2, "numbers": 2, "filler": 1, "counts": (2,), "held_out_counts": (2,)}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def read(text: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]], int]:
    """Return the needles of a text, its questions with their answers, and tokens of filler.

    Knows the text alone: a needle ends in a full stop that no question precedes.
    """
    words = text.split()
    told: list[tuple[str, str]] = []
    places = [place for place, word in enumerate(words) if word == "the"]
    for place in places:
        told.append((" ".join(words[place + 1 : place + 3]), words[place + 4]))
        assert words[place + 3] == "is"
    first = next(index for index, (city, _) in enumerate(told) if city in [earlier for earlier, _ in told[:index]])
    return told[:first], told[first:], sum(word.startswith("f") for word in words)


@pytest.mark.parametrize("settings", [{}, {"counts": (1,), "asked": 1}, {"counts": (5, 3), "length": 60}], ids=str)
def test_a_reader_of_the_text_alone_answers_every_question(settings: dict[str, Any]) -> None:
    task = SymbolNeedles(**settings)
    for seed in range(5):
        tokens, scored = task.sequences(8, generator(seed))
        for sequence, marks in zip(tokens, scored, strict=True):
            needles, questions, filler = read(task.text(sequence))
            assert len({city for city, _ in needles}) == len(needles)
            assert len(needles) in task.counts
            assert len(questions) == min(len(needles), task.asked)
            answers = [str(dict(needles)[city]) for city, _ in questions]
            assert answers == [number for _, number in questions] == task.labels(sequence[1:][marks])
            assert filler + NEEDLE * (len(needles) + len(questions)) - 1 == task.length + 1


@pytest.mark.parametrize("depth", [0, 25, 50, 75, 100])
def test_a_needle_stands_at_each_depth_as_by_hand(depth: int) -> None:
    """Of eight tokens of filler, so many stand before the one needle."""
    places = _places(3, 1, 8, depth, generator())
    assert places.tolist() == [[8 * depth // 100]] * 3


def test_at_the_ends_no_other_needle_stands_outside() -> None:
    for depth, outermost in ((0, 0), (100, 1 * NEEDLE + 4)):
        assert {places[0] for places in _places(50, 2, 4, depth, generator()).tolist()} == {outermost}
    first = [places[0] < places[1] for places in _places(400, 2, 4, 50, generator()).tolist()]
    assert 150 < sum(first) < 250, "elsewhere, the others stand on either side"


def test_a_sequence_by_hand() -> None:
    """Two needles without filler between them, one of them asked for."""
    task = SymbolNeedles(**SMALL, asked=1, length=16, held_out_lengths=(16,))
    (sequence,), (scored,) = task.sequences(1, generator(1))
    text = task.text(sequence)
    first, second, asked = text[:16], text[17:33], text[34:]
    assert sorted((first, second))[0].startswith("the A")
    assert asked + " ." in (first, second)
    assert scored.nonzero().flatten().tolist() == [15]
    marks = task.marks(sequence[:-1])
    assert task.text(sequence[list(marks.target)]) == f"{asked} ."
    assert [*marks.queries] == [15]


def test_groups_ask_for_one_needle_at_their_depth() -> None:
    task = SymbolNeedles(held_out=4)
    assert len(task.groups) == 5 * 2 * 5
    for group in task.groups:
        count, length, depth = (int(word) for word in group.split() if word.isdigit())
        tokens, scored = task.held_out_of(group, generator())
        assert tokens.shape == (4, length + 1)
        assert scored.sum(-1).tolist() == [1] * 4
        for sequence in tokens:
            words = task.text(sequence).split()
            needles, ((city, number),), filler = read(" ".join(words))
            assert len(needles) == count
            assert dict(needles)[city] == number
            before = words[: next(at for at in range(length) if " ".join(words[at + 1 : at + 3]) == city)]
            assert sum(word.startswith("f") for word in before) == round(depth / 100 * filler)


def test_the_same_held_out_sequences_come_for_every_run_and_others_in_the_test() -> None:
    task = SymbolNeedles(held_out=20)
    group = "4 needles, 72 tokens, 50 %"
    valid, again, test = (held_out(task, split, group)[0] for split in ("valid", "valid", "test"))
    assert torch.equal(valid, again)
    assert not {task.text(one) for one in valid} & {task.text(one) for one in test}
    other = held_out(task, "valid", "4 needles, 72 tokens, 25 %")[0]
    assert not torch.equal(valid, other)


def test_an_asked_needle_is_drawn_with_replacement() -> None:
    """The value that was last answered is as likely to be the next answer as any other needle's."""
    task = SymbolNeedles(counts=(4,))
    tokens, scored = task.sequences(500, generator())
    cities = tokens[:, 1:][scored.roll(-2, -1)].view(500, -1) * 100 + tokens[:, 1:][scored.roll(-3, -1)].view(500, -1)
    again = (cities[:, 1:] == cities[:, :-1]).float().mean().item()
    assert again == pytest.approx(1 / 4, abs=0.04)


def test_floors_are_what_guesses_come_to() -> None:
    task = SymbolNeedles(held_out=500)
    group = "4 needles, 72 tokens, 50 %"
    tokens, _ = task.held_out_of(group, generator())
    right = 0.0
    for sequence in tokens:
        needles, ((_, number),), _ = read(task.text(sequence))
        right += [other for _, other in needles].count(number) / len(needles) / len(tokens)
    floors = task.floors()
    assert (
        floors["a number of the text at random"][group]
        == pytest.approx(1 / 4 + 3 / 40)
        == pytest.approx(right, abs=0.02)
    )
    assert floors["any number at random"][group] == 0.1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"length": 57}, "length: got 57, allowed: 58 or more for 6 needles of which 4 are asked for"),
        ({"held_out_lengths": (72, 63)}, "held_out_lengths: got 63, allowed: 64 or more for 10 needles"),
        ({"counts": (17,)}, r"counts: got \[17\], allowed: numbers from 1 to 16, each once"),
        ({"counts": ()}, r"counts: got \[\]"),
        ({"depths": (0, 101)}, r"depths: got \[0, 101\], allowed: numbers from 0 to 100"),
        ({"asked": 0}, "asked: got 0, allowed: 1 or more"),
        ({"held_out": 0}, "held_out: got 0"),
    ],
)
def test_what_no_sequence_can_be_made_of_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ComponentError, match=said):
        SymbolNeedles(**settings)


def test_a_context_smaller_than_the_held_out_sequences_is_refused() -> None:
    task = SymbolNeedles()
    with pytest.raises(
        ComponentError, match=r"needles needs model.context=144 or more for its held-out sequences, got 100"
    ):
        task.check(vocabulary=task.vocabulary, context=100)
