"""Prepared files that hold something else than they were prepared with, at the same size."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mta_lab.config import DataConfig
from mta_lab.data import Corpus, content, prepare
from mta_lab.data.cache import MANIFEST
from mta_lab.errors import UserError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataConfig, Path]:
    """A text of two domains and the root of its corpus, for tests to copy."""
    home = tmp_path_factory.mktemp("content")
    (home / "text").mkdir()
    for domain in ("news", "tales"):
        documents = ({"text": f"{domain} {number}: the old cat sees river {number * 7}"} for number in range(60))
        (home / "text" / f"{domain}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
    data = DataConfig(path=str(home / "text"))
    prepare(data, 270, home / "data")
    return data, home / "data"


@pytest.fixture
def root(prepared: tuple[DataConfig, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared[1], tmp_path / "data"))


@pytest.fixture
def corpus(prepared: tuple[DataConfig, Path], root: Path) -> Corpus:
    return prepare(prepared[0], 270, root)


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def a_bit_flipped(path: Path) -> None:
    before = bytearray(path.read_bytes())
    before[len(before) // 2] ^= 1
    path.write_bytes(before)


def halves_swapped(path: Path) -> None:
    before = path.read_bytes()
    half = len(before) // 4 * 2
    path.write_bytes(before[half:] + before[:half])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def another_domains(path: Path) -> None:
    path.write_bytes(path.with_name(path.name.replace("news", "tales")).read_bytes())


def gone(path: Path) -> None:
    path.unlink()


def emptied_into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def merges_in_another_order(path: Path) -> None:
    """The vocabulary, and the file's size, stay as they were."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    merges = tree["model"]["merges"]
    merges[0], merges[-1] = merges[-1], merges[0]
    path.write_text(json.dumps(tree, indent=2, ensure_ascii=False), encoding="utf-8")


def another_content_hash(path: Path) -> None:
    manifest = json.loads(path.read_text())
    path.write_text(path.read_text().replace(manifest["content_hash"], manifest["content_hash"][::-1]))


def nothing_but_brackets(path: Path) -> None:
    path.write_text("[" * 100_000)


DAMAGE: list[tuple[str, Callable[[Path], None]]] = [
    ("news.train.bin", zeroed),
    ("tales.valid.bin", zeroed),
    ("news.train.bin", a_bit_flipped),
    ("news.valid.bin", halves_swapped),
    ("news.train.bin", another_domains),
    ("tales.train.bin", cut),
    ("tales.train.bin", gone),
    ("tales.train.bin", emptied_into_a_folder),
    ("tokenizer.json", zeroed),
    ("tokenizer.json", merges_in_another_order),
    (MANIFEST, another_content_hash),
    (MANIFEST, zeroed),
    (MANIFEST, nothing_but_brackets),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE, ids=[f"{name} {what.__name__}" for name, what in DAMAGE])
def test_files_that_changed_are_named_with_what_to_type(
    name: str, damage: Callable[[Path], None], prepared: tuple[DataConfig, Path], corpus: Corpus, root: Path
) -> None:
    damage(corpus.directory / name)
    with pytest.raises(UserError) as refused:
        prepare(prepared[0], 270, root)
    said = str(refused.value)
    assert name in said or damage is another_content_hash
    assert f"`rm -r {corpus.directory}`, then `mta-lab data prepare`" in said
    assert "\n" not in said
    shutil.rmtree(corpus.directory)
    assert prepare(prepared[0], 270, root).content_hash == corpus.content_hash


def as_an_earlier_version_wrote_it(directory: Path) -> None:
    """A manifest of sizes, without hashes of files."""
    manifest = json.loads((directory / MANIFEST).read_text())
    manifest["files"] = {name: file["size"] for name, file in manifest["files"].items()}
    (directory / MANIFEST).write_text(json.dumps(manifest))


def test_what_an_earlier_version_prepared_is_known_by_the_content_hash_alone(
    prepared: tuple[DataConfig, Path], corpus: Corpus, root: Path
) -> None:
    as_an_earlier_version_wrote_it(corpus.directory)
    assert prepare(prepared[0], 270, root).content_hash == corpus.content_hash
    zeroed(corpus.directory / "news.train.bin")
    with pytest.raises(UserError, match="not those that its manifest names"):
        prepare(prepared[0], 270, root)


def test_a_tokenizer_is_checked_where_it_is_used(corpus: Corpus) -> None:
    zeroed(corpus.directory / "tokenizer.json")
    with pytest.raises(UserError, match=r"tokenizer\.json has another content"):
        corpus.tokenizer()


def test_changed_text_makes_no_tokens(prepared: tuple[DataConfig, Path], corpus: Corpus, root: Path) -> None:
    text = corpus.directory.with_name("text")
    a_bit_flipped(text / "news.train.jsonl")
    with pytest.raises(UserError, match=r"text/news\.train\.jsonl has another content.*rm -r \S+/text`"):
        prepare(prepared[0], 271, root)


def test_files_are_read_once_and_again_when_somebody_wrote_to_them(corpus: Corpus) -> None:
    """A worker trusts what its launch has read, by the files' stamps."""
    content.trust(content.known())
    content.check(corpus.directory, corpus.content_hash, pytest.fail)
    tokens = corpus.directory / "news.train.bin"
    tokens.write_bytes(tokens.read_bytes())
    corpus.check()
    zeroed(tokens)
    with pytest.raises(UserError, match=r"news\.train\.bin has another content"):
        corpus.check()
