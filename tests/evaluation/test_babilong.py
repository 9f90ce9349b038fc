"""BabiLong: facts in held-out text, the benchmark's own files, and what an answer comes to."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from components import ComponentError
from components.evaluations import BabiLong, worlds
from components.evaluations.questions import Answer, Material, Question
from mta_lab.errors import UserError
from mta_lab.evaluation.files import records_of
from mta_lab.testing.question_conformance import material
from tests.evaluation.reading import solved

RECORD = {
    "input": "Mary went to the office. It rained. John moved to the garden.",
    "question": "Where is Mary? ",
    "target": "office",
}


def test_a_reader_of_the_text_alone_finds_every_answer_among_other_sentences() -> None:
    """Facts keep their order, and no sentence around them can be taken for one."""
    asked = BabiLong(distraction=(0, 200), samples=20).ask(material())
    groups: dict[str, list[Question]] = defaultdict(list)
    for question in asked.questions:
        groups[question.group].append(question)
        text, asks = question.prompt.removesuffix("\nAnswer:").split("\nQuestion: ")
        facts = [line for line in re.findall(r"[A-Z][^.]*\.", text) if not re.search("was beside|Nobody saw", line)]
        assert solved(facts, asks) == question.answers[question.right].strip()
        around = len(text.split()) - len(" ".join(facts).split())
        assert around == (200 if "200" in question.group else 0)
    assert {group: len(found) for group, found in groups.items()} == {
        f"task {task}, {length} tokens around": 20 for task in worlds.LABELS for length in (0, 200)
    }


def test_stories_that_do_not_fit_are_counted_and_where_none_fits_it_is_said() -> None:
    short = Material(documents=material().documents, tokens=material().tokens, context=60)
    asked = BabiLong(tasks=(1, 4), samples=30, distraction=(0, 1000)).ask(short)
    assert asked.notes == ["1,000 tokens around: no story fits into 60 tokens"], "a line for each length"
    (few,) = BabiLong(tasks=(1, 2, 3), samples=30, distraction=(0,)).ask(short).notes
    fitting = re.fullmatch(r"0 tokens around: of 30 stories each, (\d+) of task 3 fit into 60 tokens", few)
    assert fitting
    assert int(fitting[1]) < 30
    with pytest.raises(ComponentError, match="no story with 1000 tokens around it fits into 60 tokens"):
        BabiLong(tasks=(1,), distraction=(1000,)).ask(short)


def test_an_answer_counts_by_likelihood_and_by_its_first_word() -> None:
    """Two worlds by hand: in one the right label is likeliest, in the other it is written."""
    question = Question("task 1", "Where?", (" attic", " porch"), right=1)
    likely, written = Answer(-1.0, greedy=False, ends=True), Answer(-9.0, greedy=True, ends=True)
    unlikely, longer = Answer(-2.0, greedy=False, ends=True), Answer(-9.0, greedy=True, ends=False)
    assert BabiLong().measure(question, [unlikely, likely]) == {"babilong_by_likelihood": 1, "babilong_first_word": 0}
    assert BabiLong().measure(question, [unlikely, written]) == {"babilong_by_likelihood": 0, "babilong_first_word": 1}
    assert BabiLong().measure(question, [unlikely, longer]) == {"babilong_by_likelihood": 0, "babilong_first_word": 0}


def folder(home: Path, *tasks: int) -> str:
    for task in tasks:
        (home / f"qa{task}").mkdir(parents=True)
        (home / f"qa{task}" / "0k.json").write_text(json.dumps([RECORD, {**RECORD, "target": "garden"}]))
    return str(home)


def own_files(evaluation: BabiLong) -> list[Question]:
    found = Material(documents={}, tokens=len, context=99, records=records_of(evaluation))  # type: ignore[arg-type]
    return [*evaluation.ask(found).questions]


def test_the_benchmarks_json_is_read_as_its_script_writes_it(tmp_path: Path) -> None:
    first, second = own_files(BabiLong(path=folder(tmp_path, 1), tasks=(1,), distraction=(0,)))
    assert first.group == "task 1, 0k"
    assert first.prompt == f"{RECORD['input']}\nQuestion: Where is Mary?\nAnswer:"
    assert first.answers == (" bathroom", " bedroom", " garden", " hallway", " kitchen", " office")
    assert (first.answers[first.right], second.answers[second.right]) == (" office", " garden")
    assert first.guesses == {
        "any label at random": 1 / 6,
        "the label mentioned last": 0,  # the garden
        "the commonest answer": 1,  # of equally common ones, the first
    }
    assert second.guesses["the label mentioned last"] == 1


@pytest.mark.parametrize(
    "place", ["qa5/4k-00000-of-00001.parquet", "4k/qa5-00000-of-00001.parquet", "4k/qa5/0.parquet"]
)
def test_parquet_of_a_hub_is_read(tmp_path: Path, place: str) -> None:
    record = {"input": "Bill gave the milk to Fred.", "question": "What did Bill give to Fred?", "target": "milk"}
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist([record]), tmp_path / place)
    (one,) = own_files(BabiLong(path=str(tmp_path), tasks=(5,), distraction=(4000,)))
    assert one.answers == (" Jeff", " Mary", " apple", " football", " milk")  # not those that the question names
    assert one.answers[one.right] == " milk"


def test_a_folder_with_a_missing_task_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"babilong: path: .* has no qa2/0k.json, nor a Parquet file of it") as refused:
        own_files(BabiLong(path=folder(tmp_path, 1, 3, 4, 5), distraction=(0,)))
    assert "\n" not in str(refused.value)


def test_an_answer_that_the_task_does_not_have_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "qa1").mkdir()
    (tmp_path / "qa1" / "0k.json").write_text(json.dumps([{**RECORD, "target": "moon"}]))
    with pytest.raises(ComponentError, match=r"qa1/0k: got the target 'moon', allowed: bathroom, bedroom"):
        own_files(BabiLong(path=str(tmp_path), tasks=(1,), distraction=(0,)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tasks": (0, 1)}, r"tasks: got \[0, 1\], allowed: some of 1 to 5, each once"),
        ({"tasks": (1, 1)}, r"tasks: got \[1, 1\]"),
        ({"distraction": ()}, r"distraction: got \[\], allowed: numbers of 0 or more, each once"),
        ({"path": "x", "distraction": (500,)}, r"distraction: got \[500\], allowed for files: thousands"),
        ({"samples": 0}, r"samples: got 0, allowed: 1 or more"),
    ],
)
def test_settings_that_nothing_can_be_asked_by_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ComponentError, match=said):
        BabiLong(**settings)  # type: ignore[arg-type]
