"""A finished run is asked questions: each result once, kept, and the same after a kill."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import mta_lab
from mta_lab.errors import UserError
from mta_lab.lab.asking import Questions, ask_run, fingerprint_for, reading
from mta_lab.lab.evaluating import evaluation_named
from mta_lab.model import implementations
from mta_lab.results.records import Records


def test_a_result_has_its_metrics_intervals_floors_and_numbers(asked: mta_lab.LoadedSweep) -> None:
    found = asked.run_of("plain").evaluate("last_word", sentences=3)
    assert [found.metric.name, *found.further] == [
        "last_word_perplexity",
        "last_word_accuracy",
        "last_word_perplexity_of_sentence_alone",
    ]
    (group,) = found.domains
    assert group == "stand-in from book"
    low, high = found.intervals[group]
    assert 1 <= low <= found.domains[group] <= high
    accuracy = found.further["last_word_accuracy"]
    assert found.n == accuracy.n == found.scored[group] > 20
    assert set(accuracy.floors) == {"any word of the passage", "its commonest word"}
    assert 0 < accuracy.floors["any word of the passage"][group] < 1


def test_the_record_keeps_each_result_once_and_its_run_stays_the_same(asked: mta_lab.LoadedSweep) -> None:
    run = asked.run_of("mta")
    before = run.record
    first = run.evaluate("last_word", sentences=2)
    kept = Records().finished(before.fingerprint)
    assert kept
    assert len(kept.evaluated) == 1
    assert not kept.fault()
    assert replace(kept, evaluated={}) == before
    assert run.evaluate("last_word", sentences=2) == first
    run.evaluate("last_word", sentences=3)
    assert len(run.record.evaluated) == 2
    assert [one.settings for one in run.record.evaluated.values()] == [{"sentences": 2}, {"sentences": 3}]
    assert not Path("results/evaluations").exists()


def test_a_result_is_of_its_settings_text_and_code(asked: mta_lab.LoadedSweep) -> None:
    trained = asked.run_of("plain")._trained
    first, other, longer = (
        fingerprint_for(evaluation_named("last_word", settings), trained)
        for settings in ({}, {"sentences": 3}, {"context": 100})
    )
    assert len({first, other, longer}) == 3
    assert fingerprint_for(evaluation_named("last_word", {"context": 64}), trained) == first  # what it is by itself
    elsewhere = replace(trained, record=replace(trained.record, content_hash="0" * 64))
    assert elsewhere.record.content_hash != trained.record.content_hash
    with pytest.raises(UserError, match="has changed since it was trained"):
        fingerprint_for(evaluation_named("last_word", {}), elsewhere)


def test_a_kill_at_any_batch_changes_no_digit(asked: mta_lab.LoadedSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta_lab.evaluation.batches.A_PASS", 100)
    whole = asked.run_of("plain").evaluate("last_word", sentences=4)
    trained, records, evaluation = (
        asked.run_of("plain")._trained,
        Records(),
        evaluation_named("last_word", {"sentences": 4}),
    )
    records.file(trained.record.fingerprint).write_text(_without_evaluated(records.file(trained.record.fingerprint)))
    trained = replace(trained, record=Records().finished(trained.record.fingerprint) or trained.record)
    kept = records.answers(trained.record.fingerprint, fingerprint_for(evaluation, trained))
    generator = random.Random(0)
    for _ in range(5):
        there = len(kept.read_bytes().splitlines()) if kept.exists() else 0
        with pytest.raises(KeyboardInterrupt):
            ask_run(trained, evaluation, records, Questions(), Killed(there + generator.randrange(2, 4)))
        kept.write_bytes(kept.read_bytes()[: -generator.randrange(1, 30)])  # as a kill amid a line leaves it
    assert not trained.record.evaluated, "it is asked anew"
    found = ask_run(trained, evaluation, records, Questions(), lambda done, total: None)
    assert not kept.exists()
    assert found.metrics["last_word_perplexity"].scores == whole.domains
    assert {group: found.metrics["last_word_perplexity"].low[group] for group in whole.domains} == {
        group: low for group, (low, _) in whole.intervals.items()
    }


class Killed:
    """Ends the process, as it were, at a batch."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def __call__(self, done: int, total: int) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def _without_evaluated(file: Path) -> str:
    return json.dumps({**json.loads(file.read_text()), "evaluated": {}})


def passages(*texts: str) -> str:
    Path("passages.jsonl").write_text("".join(f"{json.dumps({'text': text})}\n" for text in texts))
    return "passages.jsonl"


def test_a_passage_longer_than_the_context_is_left_out_and_counted(asked: mta_lab.LoadedSweep) -> None:
    long = "the river was there " * 40
    path = passages("Nobody saw the river near the village. The village saw the river", f"It was so. {long}river")
    found = asked.run_of("plain").evaluate("last_word", path=path)
    assert found.n == 1
    assert found.notes == ["2 of 4 questions of 'LAMBADA' are longer than 64 tokens and left out"]
    with pytest.raises(UserError, match="last_word: context: got 64 tokens, and each question is longer than that"):
        asked.run_of("plain").evaluate("last_word", path=passages(f"So. {long}river"))
    assert asked.run_of("plain").evaluate("last_word", path=passages(f"So. {long}river"), context=400).n == 1


def test_another_file_of_the_same_name_is_another_result(asked: mta_lab.LoadedSweep) -> None:
    run = asked.run_of("plain")
    first = run.evaluate("last_word", path=passages("Nobody saw the river near the village. The village saw the river"))
    again = run.evaluate(
        "last_word", path=passages("Nobody saw the river near the village. The village saw the garden")
    )
    assert first.score != again.score
    assert len(run.record.evaluated) == 2


def test_longer_questions_are_read_by_the_same_weights(asked: mta_lab.LoadedSweep) -> None:
    """The rotary table grows with the context, and what fits into the shorter one stays."""
    path = passages("Nobody saw the river near the village. The village saw the river")
    short, long = (asked.run_of("mta").evaluate("last_word", path=path, context=context) for context in (64, 512))
    assert short.domains == long.domains


def test_long_texts_are_read_without_a_whole_map(asked: mta_lab.LoadedSweep) -> None:
    """The reference stores one; what it was set for in training is told where it is not used."""
    trained = asked.run_of("mta")._trained
    eager = replace(trained, config=replace(trained.config, attention=replace(trained.config.attention, impl="eager")))  # type: ignore[call-arg]
    tokens = torch.randint(300, (1, 1100), generator=torch.Generator().manual_seed(0))
    for run, context, names in ((eager, 1024, {"eager"}), (trained, 1100, None), (eager, 1100, None)):
        model = reading(run, context)
        with torch.no_grad():
            model(tokens[:, :context])
        found = set(implementations(model))
        assert found == names if names else "eager" not in found


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"domains": ["poems"]}, "last_word: domains: got 'poems', allowed: domains of the text: book"),
        ({"samples": 0}, "samples: got 0, allowed: 1 or more"),
        ({"context": 8}, "no passage of at most 8 tokens ends in a word as the rules want it"),
        ({"path": "nowhere.jsonl"}, "path: got 'nowhere.jsonl', allowed: a file of JSON lines"),
    ],
)
def test_a_mistake_is_one_line(asked: mta_lab.LoadedSweep, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        asked.run_of("plain").evaluate("last_word", **settings)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not asked.run_of("plain").record.evaluated


def test_questions_in_a_validation_are_refused() -> None:
    with pytest.raises(UserError, match=r"evaluations: got 'last_word', which asks a finished model \(type mta-lab"):
        mta_lab.load("kernel_sizes", settings={"evaluations": ["last_word"]}, quiet=True)
