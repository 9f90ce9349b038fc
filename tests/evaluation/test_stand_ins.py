"""Stand-ins for the tasks of Table 3: enough items, each with one right answer, by their rules."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from components import ComponentError
from components.evaluations import LmEval
from components.evaluations.lm_eval import TABLE_3
from components.evaluations.questions import Material
from components.evaluations.stand_ins import ENDING, FEWEST, Record, StandIn
from mta_lab.testing.question_conformance import prose

CONTEXT = 200
CHOICES = {"hellaswag": "choices", "arc_easy": "choices", "arc_challenge": "choices", "openbookqa": "choices"}
CHOICES |= {"social_iqa": "answers", "winogrande": "filled"}


def material(documents: int = 40, context: int = CONTEXT) -> Material:
    texts = {"book": prose(documents), "wikipedia": prose(documents)[::-1], "github": ["def river(): pass"]}
    return Material(documents=texts, tokens=words, context=context)


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


@cache
def made() -> dict[str, StandIn]:
    return {one.name.replace(ENDING, ""): one for one in LmEval().stand_ins(material())}


def items(task: str) -> Sequence[Record]:
    return made()[task].records["test"]


def answers(task: str, record: Any) -> list[str]:
    return [record["sol1"], record["sol2"]] if task == "piqa" else list(record[CHOICES[task]])


def right(task: str, record: Any) -> str:
    return answers(task, record)[record["label"]]


def test_each_task_of_table_3_has_one_of_a_hundred_items_or_more() -> None:
    names = {name.partition(":")[0] for name in TABLE_3}
    subjects = {"mmlu_book", "mmlu_wikipedia"}  # of the domains with prose
    assert made().keys() == names | subjects
    assert all(len(items(name)) >= FEWEST for name in names - {"mmlu"})
    assert sum(len(items(name)) for name in subjects) >= FEWEST
    assert made()["mmlu"].config["task"] == [f"mmlu{ENDING}_book", f"mmlu{ENDING}_wikipedia"]


@pytest.mark.parametrize("task", ["boolq", "piqa", *CHOICES, "mmlu_book"])
def test_right_answers_stand_at_each_place_equally_often(task: str) -> None:
    counts = Counter(record["label"] for record in items(task))
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(counts) == {"boolq": 2, "piqa": 2, "social_iqa": 3, "winogrande": 2}.get(task, 4)


@pytest.mark.parametrize("task", ["piqa", *CHOICES])
def test_the_answers_of_an_item_differ(task: str) -> None:
    assert all(len({*answers(task, record)}) == len(answers(task, record)) for record in items(task))


@pytest.mark.parametrize("task", ["boolq", "piqa", *CHOICES, "mmlu_book"])
def test_no_question_is_asked_twice(task: str) -> None:
    asked = [str(next(iter(record.values()))) for record in items(task)]
    assert len({*asked}) == len(asked)


def test_what_follows_in_the_text_is_right() -> None:
    """Of every task that continues a text, the right answer makes text that is there."""
    text = "\n".join(one for documents in material().documents.values() for one in documents)
    for record in items("arc_easy"):
        assert f"{record['question']} {right('arc_easy', record)}." in text
    for record in items("arc_challenge"):
        assert f"{record['question']} {right('arc_challenge', record)}." in text
    for record in items("hellaswag"):
        assert f"{record['query']} {right('hellaswag', record)}" in text
    for record in items("winogrande"):
        assert f"{right('winogrande', record)} {record['ending']}" in text
    for name, key in (("piqa", "goal"), ("social_iqa", "context"), ("openbookqa", "question_stem")):
        for record in items(name):
            assert f"{record[key]} {right(name, record)}" in text


def test_a_word_of_the_passage_is_asked_for_where_the_answer_is_yes() -> None:
    for record in items("boolq"):
        word = record["question"].split()[3]
        assert (word in record["passage"].split() or f"{word}." in record["passage"]) == bool(record["label"])


def test_the_mixed_words_of_piqa_are_those_of_the_right_sentence() -> None:
    for record in items("piqa"):
        assert sorted(record["sol1"].split()) == sorted(record["sol2"].split())


def test_the_same_items_come_again_and_others_with_another_seed() -> None:
    assert LmEval().stand_ins(material()) == [*made().values()]
    assert LmEval(seed=1).stand_ins(material()) != [*made().values()]


def test_too_little_text_and_too_short_a_context_are_one_line() -> None:
    for little in (material(documents=1), material(context=20)):
        with pytest.raises(
            ComponentError, match=r"the held-out text makes \d+ items of .* and 100 are needed"
        ) as error:
            LmEval().stand_ins(little)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tasks": ()}, r"tasks: got \[\], allowed: names of tasks, each once"),
        ({"tasks": ("piqa", "piqa:5")}, "tasks: got .* allowed: names of tasks, each once"),
        ({"tasks": ("piqa:five",)}, "tasks: got 'piqa:five', allowed: a name, or a name and a number of examples"),
        ({"limit": -1}, "limit: got -1, allowed: 0 or more"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ComponentError, match=said):
        LmEval(**settings)


def test_nobody_can_be_trained_on_what_a_harness_asks() -> None:
    with pytest.raises(ComponentError, match="lm_eval: a harness brings its questions"):
        replace(LmEval(), limit=3).exercises(material(), 1)
