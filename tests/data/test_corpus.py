import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mta_lab.config import DataConfig
from mta_lab.data import Corpus, build, cache, documents, find, prepare, tokenizer
from mta_lab.data.build import read_jsonl
from mta_lab.data.corpus import corpus_name
from mta_lab.errors import UserError

STDLIB = DataConfig(corpus="stdlib")
# For another process: argv is the text and the root. A stand-in takes the place of the
# configuration, whose import is slow.
PREPARE = """
import sys
from pathlib import Path
from types import SimpleNamespace
from mta_lab.data import prepare
data = SimpleNamespace(path=sys.argv[1], tokens=None, tokenizer="bpe", tokenizer_file=None)
print(prepare(data, 300, Path(sys.argv[2]), print).content_hash)
"""


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return prepare(STDLIB, 300, tmp_path_factory.mktemp("data"))


def texts(corpus: Corpus, split: str) -> list[str]:
    folder = corpus.directory.parent / "text"
    return [text for domain in corpus.domains for text in read_jsonl(folder / f"{domain.name}.{split}.jsonl")]


def test_the_text_of_the_packages_keeps_its_folder() -> None:
    """The text's name holds the readers' names: new ones would make everybody prepare it again."""
    assert corpus_name(DataConfig()) == "packages-1-5fa09c1d"


def test_standard_library_has_two_domains_with_both_splits(standard: Corpus) -> None:
    assert [domain.name for domain in standard.domains] == ["github", "stackexchange"]
    for domain in standard.domains:
        for split, count in (("train", domain.train_tokens), ("valid", domain.valid_tokens)):
            ids = standard.tokens(domain.name, split)
            assert len(ids) == count > 1000
            assert ids.dtype == np.uint16
            assert ids.max() < standard.vocabulary
        assert 0.03 < domain.valid_bytes / (domain.train_bytes + domain.valid_bytes) < 0.2
        assert domain.sources[0].package == "python"


def test_nothing_is_shared_between_training_and_validation(standard: Corpus) -> None:
    train, valid = ({documents.digest(text) for text in texts(standard, split)} for split in ("train", "valid"))
    assert train.isdisjoint(valid)
    paragraphs = [
        {documents.digest(p) for text in texts(standard, split) for p in text.split("\n\n") if len(p) >= 80}
        for split in ("train", "valid")
    ]
    assert paragraphs[0].isdisjoint(paragraphs[1])


def test_token_files_decode_to_the_documents(own: DataConfig, tmp_path: Path) -> None:
    corpus = prepare(own, 400, tmp_path / "data")
    bpe = corpus.tokenizer()
    for domain in corpus.domains:
        for split in ("train", "valid"):
            ids = corpus.tokens(domain.name, split)
            assert ids[-1] == corpus.end_of_text
            ends = np.flatnonzero(ids == corpus.end_of_text)
            decoded = [bpe.decode(part[part != corpus.end_of_text].tolist()) for part in np.split(ids, ends)[:-1]]
            assert decoded == read_jsonl(corpus.directory.parent / "text" / f"{domain.name}.{split}.jsonl")


def test_large_vocabularies_use_wider_ids(own: DataConfig, tmp_path: Path) -> None:
    lines: list[str] = []
    corpus = prepare(own, 70_000, tmp_path / "data", lines.append)
    assert corpus.tokens("news", "train").dtype == np.uint32
    assert any("are not used" in line for line in lines)


def test_preparation_is_deterministic(own: DataConfig, tmp_path: Path) -> None:
    first = prepare(own, 300, tmp_path / "one")
    single = {"TOKENIZERS_PARALLELISM": "false", "PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)}
    outcome = subprocess.run(
        [sys.executable, "-c", PREPARE, str(own.path), str(tmp_path / "two")],
        env=single, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert outcome.stdout.splitlines()[-1] == first.content_hash
    assert prepare(own, 299, tmp_path / "one").content_hash != first.content_hash


def test_edited_text_is_prepared_anew(own: DataConfig, tmp_path: Path) -> None:
    first = prepare(own, 300, tmp_path / "data")
    Path(str(own.path), "news", "0.txt").write_text("Something else altogether")
    assert find(own, 300, tmp_path / "data") is None
    assert prepare(own, 300, tmp_path / "data").content_hash != first.content_hash


def test_find_opens_what_was_prepared_quickly(own: DataConfig, tmp_path: Path) -> None:
    corpus = prepare(own, 300, tmp_path)
    start = time.perf_counter()
    assert find(own, 300, tmp_path) == corpus
    assert time.perf_counter() - start < 0.05
    assert find(own, 301, tmp_path) is None


def test_opening_does_not_import_torch() -> None:
    script = "import sys, mta_lab.data; print({'torch'} & set(sys.modules))"
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "set()"


@pytest.mark.parametrize("stage", ["seal", "encode", "train"])
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError])
def test_interruption_leaves_nothing_and_a_rerun_succeeds(
    own: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, interruption: type[BaseException]
) -> None:
    def interrupt(*_: object) -> None:
        raise interruption

    root = tmp_path / "data"
    with monkeypatch.context() as patch:
        patch.setattr(cache if stage == "seal" else tokenizer, stage, interrupt)
        with pytest.raises(interruption):
            prepare(own, 300, root)
    assert find(own, 300, root) is None
    assert not list(root.glob("*/.building*"))
    corpus = prepare(own, 300, root)
    assert corpus.content_hash == prepare(own, 300, tmp_path / "other").content_hash


def test_leavings_of_a_killed_process_are_removed(own: DataConfig, tmp_path: Path) -> None:
    corpus = prepare(own, 300, tmp_path / "data")
    killed = corpus.directory.with_name(".building-tokens-301")
    killed.mkdir()
    (killed / "news.train.bin").write_bytes(b"half")
    assert find(own, 301, tmp_path / "data") is None
    assert prepare(own, 301, tmp_path / "data").vocabulary == 301
    assert not killed.exists()


def test_two_processes_at_once_build_one_corpus(own: DataConfig, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PREPARE, str(own.path), str(tmp_path / "data")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs[0][-1] == outputs[1][-1] == prepare(own, 300, tmp_path / "other").content_hash
    assert sum(line.startswith("training") for output in outputs for line in output) == 1


@pytest.mark.parametrize("name", ["news.train.bin", "tokenizer.json", "manifest.json"])
def test_damaged_cache_says_which_file_and_what_to_delete(own: DataConfig, tmp_path: Path, name: str) -> None:
    corpus = prepare(own, 300, tmp_path / "data")
    path = corpus.directory / name
    path.write_bytes(path.read_bytes()[:-10])
    for action in (find, prepare):
        with pytest.raises(UserError) as caught:
            action(own, 300, tmp_path / "data")
        assert str(path) in str(caught.value)
        assert f"`rm -r {corpus.directory}`, then `mta-lab data prepare`" in str(caught.value)


def test_other_validation_documents_move_neither_the_tokenizer_nor_the_training_tokens(
    own: DataConfig, tmp_path: Path
) -> None:
    text, tokens = prepare(own, 300, tmp_path / "data").directory.parent / "text", tmp_path / "tokens"
    make = partial(tokenizer.make, "bpe", vocabulary=300, say=print)
    build.build_tokens(text, tokens / "one", make, print)
    for domain in ("news", "tales"):
        build._write_jsonl(text / f"{domain}.valid.jsonl", ["Quite another: zyzzyva zyzzyva zyzzyva"] * 50)
    facts = json.loads((text / "manifest.json").read_text())
    (text / "manifest.json").unlink()
    cache.seal(text, {"domains": facts["domains"]})
    build.build_tokens(text, tokens / "other", make, print)
    for name in ("tokenizer.json", "news.train.bin", "tales.train.bin", "news.valid.bin"):
        same = (tokens / "one" / name).read_bytes() == (tokens / "other" / name).read_bytes()
        assert same == ("valid" not in name), name
    assert cache.facts(tokens / "one")["content_hash"] != cache.facts(tokens / "other")["content_hash"]


def test_damaged_text_is_not_tokenized(own: DataConfig, tmp_path: Path) -> None:
    corpus = prepare(own, 300, tmp_path / "data")
    (corpus.directory.parent / "text" / "news.valid.jsonl").unlink()
    with pytest.raises(UserError, match=r"news\.valid\.jsonl is missing"):
        prepare(own, 301, tmp_path / "data")


def test_unknown_corpus_and_too_small_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'packages'"):
        find(DataConfig(corpus="package"), 300, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="allowed: 257 or more"):
        prepare(STDLIB, 256, tmp_path)


def test_unwritable_root_is_the_users_to_mend(own: DataConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        prepare(own, 300, tmp_path / "file")


def test_a_full_disk_is_the_users_to_mend(own: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "_write_jsonl", full)
    with pytest.raises(UserError, match="No space left"):
        prepare(own, 300, tmp_path / "data")
