"""Training on a mix: exercises at some of the steps, text at the others, by seed and step alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from mta_lab.config import Layer, RunConfig, fingerprint, resolve, scale_layer
from mta_lab.data import Corpus, prepare
from mta_lab.data.decoded import plain_tokenizer
from mta_lab.errors import UserError
from mta_lab.testing.question_conformance import prose
from mta_lab.training.batches import data_of
from mta_lab.training.run import train

CONTEXT = 200
NEEDLES = {"name": "needles", "counts": [1, 2]}
SIZES = {
    "model": {"width": 16, "heads": 2, "layers": 2, "context": CONTEXT, "vocabulary": 400, "feed_forward_multiple": 16},
    "training": {"steps": 8, "batch_size": 3, "warmup_steps": 1, "validations": 1, "validation_tokens": 400},
    "task": {"name": "practice", "on": [NEEDLES]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text of one domain, in whose sentences nouns come again."""
    home = tmp_path_factory.mktemp("text")
    lines = (json.dumps({"text": document}) for document in prose(documents=30, sentences=40))
    (home / "book.jsonl").write_text("\n".join(lines))
    return home


def configured(folder: Path, settings: Mapping[str, Any] = {}) -> RunConfig:
    return resolve(
        [scale_layer("nano"), Layer("sizes", {**SIZES, "data.path": str(folder)}), Layer("test", dict(settings))]
    )


def prepared(config: RunConfig, folder: Path) -> Corpus:
    return prepare(config.data, config.model.vocabulary, folder.parent / "corpora")


def batches(config: RunConfig, folder: Path) -> list[Any]:
    made = data_of(config, prepared(config, folder)).training_batches()
    return [made[step] for step in range(config.training.steps)]


def test_a_share_of_the_steps_reads_exercises_and_the_others_the_same_text_as_without(folder: Path) -> None:
    config = configured(folder)
    mixed, text = batches(config, folder), batches(configured(folder, {"task": "language"}), folder)
    exercised = [isinstance(batch, tuple) for batch in mixed]
    assert 1 < sum(exercised) < len(mixed) - 1
    for batch, plain, is_exercise in zip(mixed, text, exercised, strict=True):
        if not is_exercise:
            assert torch.equal(batch, plain)
            continue
        tokens, scored = batch
        assert (tokens.shape, tokens.dtype) == ((3, CONTEXT + 1), torch.int64)
        assert (scored.shape, scored.dtype) == ((3, CONTEXT), torch.bool)
    assert all(isinstance(batch, tuple) for batch in batches(configured(folder, {"task.share": 1.0}), folder))


def test_what_is_scored_are_the_numbers_of_the_needles_that_are_asked_for(folder: Path) -> None:
    config = configured(folder, {"task.share": 1.0})
    decoder = plain_tokenizer(prepared(config, folder))
    for tokens, scored in batches(config, folder):
        for row, marks in zip(tokens, scored, strict=True):
            text = decoder.decode(row.tolist(), skip_special_tokens=True)
            first = int(marks.nonzero()[0])
            before = decoder.decode(row[: first + 1].tolist(), skip_special_tokens=False)
            city = before.rpartition("The magic number of ")[2].removesuffix(" is")
            number = decoder.decode(row[1:][marks].tolist(), skip_special_tokens=False).split()[0]
            assert f"The magic number of {city} is {number}." in text


def test_any_step_is_made_alone_and_another_seed_makes_others(folder: Path) -> None:
    config = configured(folder, {"task.share": 1.0})
    corpus = prepared(config, folder)
    made = data_of(config, corpus).training_batches()
    again = data_of(config, corpus).training_batches()
    first, second = made[5], [again[step] for step in (0, 5)][1]
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    other = data_of(configured(folder, {"task.share": 1.0, "seed": 1}), corpus).training_batches()
    assert not torch.equal(other[5][0], first[0])


def test_a_run_trains_on_the_mix_and_is_scored_on_held_out_text(folder: Path) -> None:
    config = configured(folder)
    result = train(config, prepared(config, folder))
    (validation,) = result.validations
    assert (validation.quantity, set(validation.domains)) == ("perplexity", {"book"})
    assert all(loss > 0 for _, loss in result.losses)
    whole = train(configured(folder, {"task": "language"}), prepared(config, folder))
    assert result.text["passes"]["book"] == pytest.approx(whole.text["passes"]["book"] / 2, rel=1e-3)


def test_the_losses_are_those_of_the_batch_however_many_sequences_are_read_at_a_time(folder: Path) -> None:
    short = {"training.steps": 4}
    whole, one = (
        train(configured(folder, {**short, **more}), prepared(configured(folder), folder)).losses
        for more in ({}, {"training.micro_batch": 1})
    )
    assert [loss for _, loss in one] == pytest.approx([loss for _, loss in whole], rel=1e-4)


def test_a_mix_is_part_of_a_runs_identity(folder: Path) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"task": "language"},
        {"task.share": 0.4},
        {"task.asked": 2},
        {"task.on": [{**NEEDLES, "largest": 5}]},
        {"task.on": [NEEDLES, {"name": "babilong", "distraction": [0]}]},
    ]
    found = [fingerprint(configured(folder, settings), "text") for settings in changes]
    assert len({*found}) == len(changes)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task.share": 0}, "task.share: got 0.*allowed: more than 0, at most 1"),
        ({"task.asked": 0}, "task.asked: got 0, allowed: 1 or more"),
        ({"task.on": []}, r"task.on: got \[\], allowed: evaluations that ask questions"),
        ({"task.on": ["token_accuracy"]}, r"task.on: got \['token_accuracy'\], allowed: evaluations that ask"),
        ({"task.on": [{"name": "last_word", "path": "x"}]}, "task.on: last_word has a path, allowed: what makes"),
    ],
)
def test_a_mix_of_nothing_is_refused(folder: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        configured(folder, settings)


def test_a_context_smaller_than_the_needles_is_one_line(folder: Path) -> None:
    config = configured(folder, {"model.context": 20})
    with pytest.raises(UserError, match="task: counts: no text of 20 tokens holds 1 needle and its questions"):
        batches(config, folder)
