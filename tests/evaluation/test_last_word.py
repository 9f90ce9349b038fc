"""Last words: five passages by hand, the rules of the stand-in, and files with a fault."""

import json
import math
from pathlib import Path

import pytest

from components import ComponentError
from components.evaluations import LastWord
from components.evaluations.last_word import last_word
from components.evaluations.questions import Material
from mta_lab.errors import UserError
from mta_lab.evaluation.files import records_of
from tests.evaluation.tables import scores_of

PASSAGES = (
    "The cat slept . Then Ann fed the cat",
    "A dog ran . Bob called the dog",
    "Ann sang . Everyone heard Ann",
    "No fireworks tonight . Bob sold the fire-works",
    "Rain fell . Bob hated rain",
)
TABLE = {
    "the": {"cat": 0.5, "dog": 0.25, "fire": 0.25},
    "heard": {"Ann": 0.2, "the": 0.8},
    "fire": {"-": 0.5, "cat": 0.5 - 1e-6},
    "-": {"works": 1.0},
    "hated": {"rain": 0.4, "the": 0.6},
}
"""of the words that matter; the fourth passage's last word is three tokens"""
BY_HAND = (0.5, 0.25, 0.2, 0.25 * 0.5 * 1.0, 0.4)
RIGHT = 1 / 5  # the first alone: elsewhere another word is likelier, in the fourth at its first token


def passages_file(folder: Path, *lines: object) -> str:
    """Write lines of JSON; return the file's name."""
    file = folder / "passages.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(file)


def reading(path: str) -> tuple[LastWord, Material]:
    evaluation = LastWord(path=path)
    return evaluation, Material(
        documents={}, tokens=lambda texts: [0] * len(texts), context=99, records=records_of(evaluation)
    )


def test_five_passages_come_to_what_is_computed_by_hand(tmp_path: Path) -> None:
    evaluation, material = reading(passages_file(tmp_path, *({"text": text} for text in PASSAGES)))
    words = " ".join(PASSAGES).replace("-", " - ").split()
    found = scores_of(evaluation, material, TABLE, words)
    by_hand = math.exp(-sum(map(math.log, BY_HAND)) / len(BY_HAND))
    assert found["last_word_perplexity"].scores == {"LAMBADA": pytest.approx(by_hand, rel=1e-4)}
    assert found["last_word_accuracy"].scores == {"LAMBADA": RIGHT}
    assert found["last_word_accuracy"].n == {"LAMBADA": 5}
    # A table sees one word back, and each last sentence has that: alone, it says the same.
    assert found["last_word_perplexity_of_sentence_alone"].scores == {"LAMBADA": pytest.approx(by_hand, rel=1e-4)}
    low, high = (found["last_word_perplexity"].low["LAMBADA"], found["last_word_perplexity"].high["LAMBADA"])
    assert low < by_hand < high


def test_a_last_word_is_split_off_at_the_last_blank_and_asked_for_whole(tmp_path: Path) -> None:
    evaluation, material = reading(passages_file(tmp_path, {"text": "It was hers . `` No , '' said Ann-Marie"}))
    whole, alone = evaluation.ask(material).questions
    assert (whole.prompt, whole.answers) == ("It was hers . `` No , '' said", (" Ann-Marie",))
    assert (alone.prompt, alone.answers, alone.kind) == ("`` No , '' said", (" Ann-Marie",), "alone")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([{"text": "a b"}, {"context": "a b"}], r"passages.jsonl: record 2 has no text 'text'"),
        (["a b"], r"record 1 has no text 'text'"),
        ([], r"passages.jsonl: is empty"),
    ],
)
def test_a_file_without_text_is_one_line(tmp_path: Path, lines: list[object], said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        reading(passages_file(tmp_path, *lines))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_missing_or_no_json_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"path: got '.*none.jsonl', allowed: a file of JSON lines"):
        reading(str(tmp_path / "none.jsonl"))
    (tmp_path / "poem.txt").write_text("Tyger Tyger\n")
    with pytest.raises(UserError, match=r"poem.txt cannot be read"):
        reading(str(tmp_path / "poem.txt"))


@pytest.mark.parametrize(
    ("earlier", "sentence", "found"),
    [
        ("The letter came late.", "Nobody had read the letter.", ("Nobody had read the", "letter")),
        ("The letter came late.", "Nobody had read the Letter!”", ("Nobody had read the", "Letter")),
        ("Nothing came.", "Nobody had read the letter.", None),  # not in an earlier sentence
        ("The letter came late.", "This letter was no letter.", None),  # twice in its own
        ("They came late.", "Nobody had seen them.", None),  # a stop word
        ("The sea was calm.", "Nobody had seen the sea.", None),  # too short
        ("The letter came late.", "A letter.", None),  # too little before it
        ("The letter came late.", "Nobody had read letter 12.", None),  # no word
    ],
)
def test_a_stand_in_ends_in_a_word_from_an_earlier_sentence(
    earlier: str, sentence: str, found: tuple[str, str] | None
) -> None:
    assert last_word(earlier, sentence) == found


def test_passages_have_as_many_sentences_as_fit_and_share_none() -> None:
    document = "The letter came late. It rained and rained. Nobody had read the letter. Ann read the letter. Bye now."
    long, short = (
        LastWord().ask(Material(documents={"own": [document]}, tokens=_words, context=context)).questions
        for context in (99, 12)
    )
    assert [question.prompt for question in long] == [
        "The letter came late. It rained and rained. Nobody had read the",
        "Nobody had read the",
    ]
    assert [question.prompt for question in short] == [  # the first sentence does not fit into the first passage
        "Nobody had read the letter. Ann read the",
        "Ann read the",
    ]


def test_a_text_without_a_passage_is_refused() -> None:
    with pytest.raises(ComponentError, match="no passage of at most 99 tokens ends in a word as the rules want it"):
        LastWord().ask(Material(documents={"own": ["Nothing here."]}, tokens=_words, context=99))


def _words(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]
