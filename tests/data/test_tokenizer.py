"""Tokenizers by kind: what each makes of a text, and what is refused."""

import base64
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from mta_lab.config import DataConfig, command_line, resolve, scale_layer
from mta_lab.config.sections import BYTE_TOKENS, TOKENIZERS
from mta_lab.data import Corpus, prepare, tokenizer
from mta_lab.data.build import read_jsonl
from mta_lab.data.tiktoken import SPECIAL
from mta_lab.data.tokenizer import SMALLEST_VOCABULARY
from mta_lab.errors import UserError
from mta_lab.sweep import load_sweep
from tests.data.imports import write_tokenizer

VOCABULARY = {"bpe": 300, "bytes": BYTE_TOKENS, "characters": 270}
ODD = "tab\t, <|endoftext|>, <0x41>, naïve, 東京, \U0001f600, \u0301, \x00 and no end"


def by(kind: str, own: DataConfig, tmp_path: Path) -> Corpus:
    return prepare(replace(own, tokenizer=kind), VOCABULARY[kind], tmp_path / "data")


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_every_kind_gives_each_document_back_whatever_is_in_it(kind: str, own: DataConfig, tmp_path: Path) -> None:
    corpus = by(kind, own, tmp_path)
    found = corpus.tokenizer()
    for domain in corpus.domains:
        for split in ("train", "valid"):
            ids = corpus.tokens(domain.name, split)
            assert ids.max() < corpus.vocabulary
            ends = np.flatnonzero(ids == corpus.end_of_text)
            documents = [found.decode(part[part != corpus.end_of_text].tolist()) for part in np.split(ids, ends)[:-1]]
            assert documents == read_jsonl(corpus.directory.parent / "text" / f"{domain.name}.{split}.jsonl")
    (encoded,) = tokenizer.encode(found, [ODD], corpus.end_of_text)
    assert encoded.count(corpus.end_of_text) == 1
    assert found.decode(encoded[:-1]) == ODD


def test_bytes_are_the_bytes_of_utf_8(own: DataConfig, tmp_path: Path) -> None:
    corpus = by("bytes", own, tmp_path)
    assert corpus.vocabulary == BYTE_TOKENS == SMALLEST_VOCABULARY
    assert corpus.tokenizer_name == "bytes, of 257 entries"
    for domain in corpus.domains:
        assert domain.train_tokens + domain.valid_tokens == domain.train_bytes + domain.valid_bytes + domain.documents


def test_characters_are_one_token_each_and_the_bytes_of_those_without_an_entry(own: DataConfig, tmp_path: Path) -> None:
    found = by("characters", own, tmp_path).tokenizer()
    text = (tmp_path / "text" / "news" / "0.txt").read_text()
    kept = {one for one in set(text) if found.token_to_id(one) is not None}
    assert len(kept) == 270 - SMALLEST_VOCABULARY
    assert {" ", "e"} < kept
    assert "東" not in kept
    ids = found.encode("e 東", add_special_tokens=False).tokens
    assert ids == ["e", " ", *(f"<0x{byte:02X}>" for byte in "東".encode())]


def test_the_most_frequent_characters_are_kept_and_the_order_of_documents_does_not_matter() -> None:
    texts = ["aab", "bac", "d"]
    one, other = (tokenizer.characters(order, SMALLEST_VOCABULARY + 3) for order in (texts, texts[::-1]))
    assert one.to_str() == other.to_str()
    assert [one.token_to_id(letter) for letter in "abcd"] == [257, 258, 259, None]


def test_a_given_tokenizer_makes_the_ids_and_is_named_by_its_content(own: DataConfig, tmp_path: Path) -> None:
    file = write_tokenizer(tmp_path)
    given = tokenizer.read_given(file)
    found = prepare(replace(own, tokenizer=str(file)), 5000, tmp_path / "data")
    assert found.vocabulary == given.vocabulary
    assert found.end_of_text == given.end_of_text
    assert found.tokenizer_name.startswith("tokenizer.model (sha256 ")
    assert found.given_tokenizer == given.sha256
    text = found.directory.parent / "text" / "news.valid.jsonl"
    ids = tokenizer.encode(given.tokenizer, read_jsonl(text), given.end_of_text)
    assert found.tokens("news", "valid").tolist() == [*chain.from_iterable(ids)]
    file.write_text(file.read_text() + f"{base64.b64encode(b'zz').decode()} {given.vocabulary - SPECIAL}\n")
    assert prepare(replace(own, tokenizer=str(file)), 5000, tmp_path / "data").directory != found.directory


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["data.tokenizer=byte"], "got 'byte'; did you mean 'bytes'? allowed: bpe, bytes, characters, or the path"),
        (
            ["data.tokenizer=bytes"],
            "command line: data: tokenizer: got 'bytes' with model.vocabulary=512, allowed: model.vocabulary=257",
        ),
        (["data.tokenizer=bytes", "data.tokens=x"], "data.tokens: got 'x' beside data.tokenizer=bytes, allowed: one"),
    ],
)
def test_settings_that_make_no_tokenizer_are_refused(settings: list[str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve([scale_layer("nano"), command_line(settings)])
    assert said in str(caught.value)


def test_a_given_tokenizer_that_does_not_serve_is_refused(own: DataConfig, tmp_path: Path) -> None:
    file, broken = write_tokenizer(tmp_path), tmp_path / "broken.json"
    broken.write_text("{}")
    entries = tokenizer.read_given(file).vocabulary
    cases = {
        str(tmp_path / "none.json"): "none.json cannot be read (No such file or directory)",
        str(broken): "data.tokenizer: .*broken.json is no tokenizer.json",
        str(file): f"model.vocabulary: got 20, allowed: {entries} or more for the tokenizer {file}",
    }
    for given, said in cases.items():
        with pytest.raises(UserError, match=said.replace("(", r"\(").replace(")", r"\)")):
            prepare(replace(own, tokenizer=given), 20, tmp_path / "data")
    prepare(replace(own, tokenizer=str(file)), entries, tmp_path / "data")
    with pytest.raises(UserError, match=r"model\.vocabulary: got 20"):
        prepare(replace(own, tokenizer=str(file)), 20, tmp_path / "data")


def test_rows_of_two_tokenizers_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "title: T\nbase: {model.vocabulary: 257}\nrows: {pairs: {attention: softmax}, bytes: {data.tokenizer: bytes}}\n"
    )
    with pytest.raises(UserError, match=r"rows\.bytes: reads other text or tokens than 'pairs'; their scores cannot"):
        load_sweep(str(file), scale="nano")


@pytest.mark.parametrize(
    ("setting", "choices"),
    [
        ("data.tokenizer", "bpe, characters"),
        ("model.vocabulary", "300, 400"),
        ("training.validation_tokens", "99, 999"),
    ],
)
def test_a_search_over_what_trials_are_scored_on_is_refused(setting: str, choices: str, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        f"title: T\nsearch: {{trials: 2, space: {{t: {{choices: [{choices}]}}}}}}\n"
        f"rows: {{one: {{attention: softmax}}, other: {{attention: softmax, {setting}: $t}}}}\n"
    )
    with pytest.raises(UserError, match=r"search\.space\.t: changes the text or tokens"):
        load_sweep(str(file), scale="nano")
