"""Promises of the toy task, read from its text as a person would."""

from collections import Counter
from typing import Any

import pytest
import torch

from components import ComponentError
from components.tasks import FindBlock

COUNT = 2000
SETTINGS: list[dict[str, Any]] = [
    {},
    {"blocks": 6},
    {"blocks": 6, "answer": "first"},
    {"blocks": 6, "answer": "last"},
    {"letters": 8, "blocks": 35},
    {"letters": 3, "blocks": 4, "question": 1},
    {"letters": 5, "blocks": 6, "question": 5},
    {"letters": 6, "blocks": 6, "question": 4},
    {"letters": 25, "blocks": 3},  # others can hold all letters but one of the question
    {"letters": 2, "blocks": 1},
    {"letters": 1, "blocks": 2, "question": 1},
]
every_setting = pytest.mark.parametrize("settings", SETTINGS, ids=str)


def draw(task: FindBlock, count: int = COUNT) -> list[tuple[list[str], str, str]]:
    """(blocks, question, answer) of random sequences."""
    tokens, _ = task.sequences(count, torch.Generator().manual_seed(3))
    texts = [task.text(sequence).split(" -> ") for sequence in tokens]
    read = [(*before.split("#"), answer) for before, answer in texts]
    return [(blocks.split("."), question, answer) for blocks, question, answer in read]


@every_setting
def test_exactly_one_block_holds_the_question_and_is_the_answer(settings: dict[str, Any]) -> None:
    task = FindBlock(**settings)
    for blocks, question, answer in draw(task):
        (target,) = [block for block in blocks if set(question) <= set(block)]
        assert answer == {"all": target, "first": target[0], "last": target[-1]}[task.answer]


@every_setting
def test_blocks_are_whole_and_of_distinct_letters(settings: dict[str, Any]) -> None:
    task = FindBlock(**settings)
    for blocks, question, _ in draw(task):
        assert len(blocks) == task.blocks
        assert {(len(block), len(set(block))) for block in blocks} == {(task.letters, task.letters)}
        assert len(question) == len(set(question)) == task.question


@every_setting
def test_the_answer_is_what_is_scored(settings: dict[str, Any]) -> None:
    task = FindBlock(**settings)
    tokens, scored = task.sequences(3, torch.Generator().manual_seed(0))
    for sequence, marks in zip(tokens, scored, strict=True):
        answer = task.text(sequence).split(" -> ")[1]
        assert len(answer) == marks.sum() == (task.letters if task.answer == "all" else 1)
        assert marks[-len(answer) :].all()


def test_a_sequence_reads_as_the_paper_prints_it() -> None:
    task = FindBlock(letters=2, blocks=3)
    tokens = torch.tensor([0, 1, 26, 2, 3, 26, 4, 5, 27, 3, 2, 2, 3])
    assert task.text(tokens) == "ab.cd.ef#dc -> cd"
    assert task.context + 1 == len(tokens)


def test_the_default_has_the_papers_length() -> None:
    """52 blocks of 5 letters, question and answer: near the official generator's 319 characters."""
    assert (FindBlock().context, FindBlock().vocabulary) == (318, 28)


def frequencies(found: Counter[Any], places: int) -> float:
    """The largest deviation from equal frequencies, in standard deviations of one count."""
    total, chance = sum(found.values()), 1 / places
    spread = (total * chance * (1 - chance)) ** 0.5
    counts = [*found.values(), *[0] * (places - len(found))]
    return max(abs(count - total * chance) for count in counts) / spread


def test_places_and_letters_are_even() -> None:
    """The target stands anywhere; its question letters, too; every letter is asked for."""
    task = FindBlock(blocks=6)
    drawn = draw(task, 12_000)
    targets = [next(b for b in blocks if set(question) <= set(b)) for blocks, question, _ in drawn]
    where = Counter(blocks.index(target) for (blocks, *_), target in zip(drawn, targets, strict=True))
    assert frequencies(where, 6) < 4
    for index in (0, 1):
        inside = Counter(t.index(question[index]) for (_, question, _), t in zip(drawn, targets, strict=True))
        assert frequencies(inside, 5) < 4
        assert frequencies(Counter(question[index] for _, question, _ in drawn), 26) < 4.5
    assert frequencies(Counter(question[0] < question[1] for _, question, _ in drawn), 2) < 4


def test_other_blocks_are_random_ones_without_the_whole_question() -> None:
    """Other blocks hold one question letter as often as random ones do: no give-away."""
    drawn = draw(FindBlock(blocks=6), 6000)
    held = Counter(
        len(set(question) & set(block))
        for blocks, question, _ in drawn
        for block in blocks
        if not set(question) <= set(block)
    )
    none, one = 24 * 23 * 22 * 21 * 20 / 120, 2 * 24 * 23 * 22 * 21 / 24  # ways to choose 5 of 26 letters
    expected = one / (none + one)
    others = sum(held.values())
    assert set(held) == {0, 1}
    assert held[1] / others == pytest.approx(expected, abs=4 * (expected * (1 - expected) / others) ** 0.5)
    letters = Counter(block[0] for blocks, question, _ in drawn for block in blocks if not set(question) <= set(block))
    assert frequencies(letters, 26) < 4.5


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"letters": 26}, "letters: got 26, allowed: 1 to 25"),
        ({"letters": 0}, "letters: got 0"),
        ({"blocks": 0}, "blocks: got 0, allowed: 1 or more"),
        ({"question": 6}, r"question: got 6, allowed: 1 to letters \(5\)"),
        ({"question": 0}, "question: got 0"),
        ({"answer": "middle"}, "answer: got 'middle', allowed: 'all', 'first' or 'last'"),
        ({"held_out": 0}, "held_out: got 0, allowed: 1 or more"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], parts: str) -> None:
    with pytest.raises(ComponentError, match=f"^{parts}"):
        FindBlock(**settings)
