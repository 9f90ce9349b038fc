"""Imported tokens that models read: what a launch refuses, what identifies a run, its batches."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mta_lab.config import RunConfig, fingerprint
from mta_lab.data import find, prepare
from mta_lab.data.cache import digest_of
from mta_lab.data.imported import ImportedCorpus, open_imported
from mta_lab.data.importing import import_tokens
from mta_lab.data.shards import MANIFEST, Manifest, Shard, as_json, sample_of
from mta_lab.errors import UserError
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.corpora import verified
from mta_lab.lab.display import Display
from mta_lab.lab.passes import in_words, repeated
from mta_lab.lab.plans import plan_of_one
from mta_lab.planning.runs import Run, run_of
from mta_lab.sweep import PlannedRun
from mta_lab.training.language import TextModule
from tests.config.helpers import config
from tests.data.imports import asked_of, write_tokenizer

SIZES = ("training.validation_tokens=128", "training.validations=1")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same tokens in shards of 300 and in one shard a split, for tests to copy."""
    home = tmp_path_factory.mktemp("imported")
    (home / "text").mkdir()
    for domain in ("github", "wikipedia"):
        documents = ({"text": f"the {domain} thing {number}\n{number * 7} in 東京 it"} for number in range(120))
        (home / "text" / f"{domain}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
    tokenizer = write_tokenizer(home)
    for shard in (300, 10**6):
        import_tokens(asked_of(home / "text", tokenizer, shard), home / f"by {shard}", lambda _: None)
    return home / "by 300", home / "by 1000000"


@pytest.fixture
def tokens(folders: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the folder in small shards."""
    copied = tmp_path / "tokens"
    copied.mkdir()
    for file in folders[0].iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    return copied


def reading(tokens: Path, *settings: str) -> RunConfig:
    sizes = [*SIZES, *([] if settings and "vocabulary" in settings[0] else ["model.vocabulary=600"])]
    return config(*sizes, f"data.tokens={tokens}", *settings)


def corpus_of(run: RunConfig) -> ImportedCorpus:
    found = prepare(run.data, run.model.vocabulary, Path("nowhere"))
    assert isinstance(found, ImportedCorpus)
    return found


def test_batches_are_the_same_on_shards_of_any_size(folders: tuple[Path, Path]) -> None:
    runs = [reading(folder) for folder in folders]
    small, whole = (TextModule(run, corpus_of(run)) for run in runs)
    assert len(corpus_of(runs[0]).manifest.of("github", "train")) > 5
    for mine, theirs in zip(small.train_dataloader(), whole.train_dataloader(), strict=True):
        assert torch.equal(mine, theirs)
    for split in ("valid", "test"):
        small.run, whole.run = (replace(run, data=replace(run.data, evaluate=split)) for run in runs)
        for mine, theirs in zip(small.val_dataloader(), whole.val_dataloader(), strict=True):
            assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))


def test_valid_and_test_are_scored_on_their_own_documents(tokens: Path) -> None:
    module = TextModule(reading(tokens), corpus_of(reading(tokens)))
    first = next(iter(module.val_dataloader()[0]))
    assert first[0].tolist() == module.corpus.tokens("github", "valid")[:33].tolist()
    module.run = reading(tokens, "data.evaluate=test")
    first = next(iter(module.val_dataloader()[0]))
    assert first[0].tolist() == module.corpus.tokens("github", "test")[:33].tolist()


def test_a_run_is_identified_by_the_tokens_wherever_they_lie(tokens: Path, tmp_path: Path) -> None:
    run = reading(tokens)
    before = fingerprint(run, corpus_of(run).content_hash)
    moved = reading(tokens.rename(tmp_path / "moved"))
    assert fingerprint(moved, corpus_of(moved).content_hash) == before
    assert corpus_of(moved).content_hash != corpus_of(run_without_a_domain(tmp_path / "moved")).content_hash


def run_without_a_domain(folder: Path) -> RunConfig:
    changed(folder, lambda manifest: manifest["domains"].pop())
    changed(folder, lambda manifest: manifest.update(shards=[s for s in manifest["shards"] if s["domain"] == "github"]))
    return reading(folder)


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def shard(folder: Path) -> Path:
    return folder / "github.train.00001.bin"


def flipped(folder: Path) -> None:
    data = bytearray(shard(folder).read_bytes())
    data[len(data) // 2] ^= 1
    shard(folder).write_bytes(data)


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: shard(folder).unlink(), r"github\.train\.00001\.bin is missing; restore it from a copy, or import"),
    (lambda folder: shard(folder).write_bytes(b"123"), r"00001\.bin has 3 bytes where its manifest says 600; restore"),
    (flipped, r"github\.train\.00001\.bin has other content than when it was imported; restore"),
    (lambda folder: (folder / MANIFEST).unlink(), r"tokens has no manifest\.json; `mta-lab data import` makes such"),
    (lambda folder: (folder / MANIFEST).write_text("{"), r"manifest\.json is damaged \(line 1: .*\); restore"),
    (lambda folder: changed(folder, lambda found: found.update(format=2)), "has a manifest of format 2, and this ver"),
    (lambda folder: changed(folder, lambda found: found.pop("shards")), r"damaged \(shards: is missing\)"),
    (lambda folder: folder.rename(folder.with_name("gone")), "is no folder; `mta-lab data import` makes one"),
]


EDITS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda found: found.update(vocabulary=0), r"end_of_text: got \d+, allowed: 0 to below vocabulary, 0"),
    (lambda found: found.update(end_of_text=-1), "end_of_text: got -1"),
    (lambda found: found.update(domains=[]), r"domains: got \[\], allowed: one at least"),
    (lambda found: found.update(shards=[]), r"shards: got \[\], allowed: one at least"),
    (lambda found: found["domains"].append(found["domains"][0]), "domains: one of them is listed twice"),
    (lambda found: found["shards"].append(found["shards"][0]), "shards: one of them is listed twice"),
    (lambda found: found["domains"].pop(), r"shards: .*\.bin is of the domain '\w+', which is not listed"),
    (
        lambda found: found["shards"][0].update(file="/etc/passwd"),
        "got the file '/etc/passwd', allowed: a name in this",
    ),
    (lambda found: found["shards"][0].update(file="../other.bin"), r"got the file '\.\./other\.bin'"),
    (lambda found: found["shards"][0].update(tokens=0), r"has 0 tokens, allowed: 1 or more"),
    (
        lambda found: found["domains"].append({**found["domains"][0], "name": "book"}),
        "'book' has no tokens to train on",
    ),
]


@pytest.mark.parametrize(("edit", "complaint"), EDITS, ids=[complaint for _, complaint in EDITS])
def test_a_manifest_that_no_import_writes_is_refused(
    edit: Callable[[dict[str, Any]], object], complaint: str, tokens: Path
) -> None:
    changed(tokens, edit)
    with pytest.raises(UserError, match=rf"data.tokens: .*manifest\.json is damaged \(.*{complaint}"):
        open_imported(tokens)


@pytest.mark.parametrize(("damage", "complaint"), DAMAGE, ids=[complaint for _, complaint in DAMAGE])
def test_a_launch_refuses_damaged_tokens(damage: Callable[[Path], object], complaint: str, tokens: Path) -> None:
    damage(tokens)
    with pytest.raises(UserError, match=f"data.tokens: .*{complaint}") as refused:
        corpus_of(reading(tokens))
    assert "\n" not in str(refused.value)


def test_what_a_sample_misses_is_found_by_reading_all(tokens: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.mkdir()
    path = large / "github.train.00000.bin"
    ids = np.arange(600_000, dtype="<u2") % 500
    ids.tofile(path)
    manifest = open_imported(tokens).manifest
    one = Shard(
        file=path.name,
        domain="github",
        split="train",
        tokens=len(ids),
        sha256=digest_of(path),
        sample=sample_of(path, path.stat().st_size),
    )
    (large / "tokenizer.json").write_bytes((tokens / "tokenizer.json").read_bytes())
    (large / MANIFEST).write_text(as_json(replace(manifest, domains=manifest.domains[:1], shards=[one])))
    open_imported(large).check()
    missed = 0
    for place in range(10_000, 1_100_000, 50_000):
        data = bytearray(ids.tobytes())
        data[place] ^= 1
        path.write_bytes(data)
        found = open_imported(large)
        missed += sample_of(path, len(data)) == one.sample
        assert dict(found.verified())[path.name] == "has other content than when it was imported"
    assert missed


def test_verify_reads_every_file_of_a_folder(tokens: Path) -> None:
    lines = list(verified(Conditions(settings=()), tokens))
    assert len(lines) == len(open_imported(tokens).manifest.shards) + 2
    assert lines[-1].endswith(f"holds the tokens of its content hash, {open_imported(tokens).content_hash[:16]}")
    assert lines[:-1] == list(verified(Conditions(settings=(f"data.tokens={tokens}",))))[:-1]
    flipped(tokens)
    (tokens / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"data\.tokens: 2 damaged in "):
        list(verified(Conditions(settings=()), tokens))


def test_ids_beyond_the_vocabulary_are_found(tokens: Path) -> None:
    changed(tokens, lambda manifest: manifest.update(vocabulary=100, end_of_text=99))
    found = dict(open_imported(tokens).verified())
    assert "beyond its vocabulary" in found["github.train.00000.bin"]


def test_a_model_needs_an_entry_for_every_token(tokens: Path) -> None:
    small = reading(tokens, "model.vocabulary=512")
    with pytest.raises(
        UserError, match=r"model\.vocabulary: got 512, allowed: 524 or more for the tokens in .*, of tok"
    ):
        find(small.data, small.model.vocabulary, Path("nowhere"))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (["data.tokens=t", "data.corpus=stdlib"], "got 't' beside data.corpus=stdlib, allowed: one of them"),
        (["data.tokens=t", "data.path=mine"], "got 't' beside data.path=mine, allowed: one of them"),
        (["data={tokens: ' '}"], "got ' ', allowed: a folder that `mta-lab data import` made"),
    ],
)
def test_tokens_are_the_only_text(settings: list[str], complaint: str) -> None:
    with pytest.raises(UserError) as refused:
        config(*settings)
    assert f"data.tokens: {complaint}" in str(refused.value)


def test_a_run_is_refused_where_a_split_is_too_short(tokens: Path) -> None:
    def run(*settings: str) -> Run:
        found = reading(tokens, *settings)
        planned = PlannedRun(row="softmax", seed=0, config=found)
        return run_of(planned, lambda one: corpus_of(one.config))

    assert run().content_hash
    assert run("data.evaluate=test").content_hash
    gone = "github", "test"
    changed(
        tokens,
        lambda found: found.update(shards=[one for one in found["shards"] if (one["domain"], one["split"]) != gone]),
    )
    assert run().content_hash
    with pytest.raises(
        UserError, match=r"got 'test', but no document of domain 'github' is held out for it; .* larger"
    ):
        run("data.evaluate=test")


def test_a_plan_says_how_often_its_runs_read_the_text(tokens: Path) -> None:
    few = ["training.steps=1", "training.validations=1", "training.batch_size=1", "model.context=32"]
    settings = [f"data.tokens={tokens}", "model.vocabulary=600"]
    often = plan_of_one(Conditions(settings=settings), Display())
    assert "more than 4 times over (github " in repeated(often)[0]
    once = plan_of_one(Conditions(settings=[*settings, *few]), Display())
    assert repeated(once) == []
    assert in_words(once).startswith("Passes of a run over its training text: github 0.00")
    absent = plan_of_one(Conditions(settings=["data.tokens=nowhere"]), Display())
    assert in_words(absent) == ""


def test_a_record_names_the_tokenizer_and_the_passes(tokens: Path) -> None:
    run = reading(tokens, "data.mixture={github: 1, wikipedia: 0}")
    corpus = corpus_of(run)
    said = TextModule(run, corpus).text
    assert said["tokenizer"].startswith("tokenizer.model (sha256 ")
    read = run.training.steps * run.tokens_per_step
    assert said["passes"] == {"github": pytest.approx(read / corpus.domains[0].train_tokens), "wikipedia": 0.0}


def test_a_manifest_is_what_it_says(tokens: Path) -> None:
    manifest = open_imported(tokens).manifest
    assert isinstance(manifest, Manifest)
    assert manifest.tokenizer.file == "tokenizer.model"
    assert manifest.settings == {"source": "s"}
