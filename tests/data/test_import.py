"""Importing text as token shards: what is read, where it goes, and an import that was ended."""

import bz2
import gzip
import json
import lzma
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from mta_lab.config import DataConfig
from mta_lab.data import cache, importing
from mta_lab.data.corpus import corpus_name
from mta_lab.data.documents import clean
from mta_lab.data.imported import ImportedCorpus, open_imported
from mta_lab.data.importing import by_hash, import_tokens
from mta_lab.data.mixture import PAPER, shares
from mta_lab.data.reading import FileReader, Keys
from mta_lab.data.shards import PARTS, STATE
from mta_lab.errors import UserError
from mta_lab.lab.display import Display
from mta_lab.lab.imports import ImportOptions, imported
from tests.data.imports import asked_of, write_tokenizer

TEXTS = {name: [f"the {name} number {n}\nis the thing 東京 {n * 7}" for n in range(90)] for name in ("news", "tales")}
Write = Callable[[Path, list[str]], None]


def lines(texts: Sequence[str]) -> bytes:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


def compressed(data: bytes, codec: str) -> bytes:
    """Two frames, as tools that append write them."""
    half = len(data) // 2
    return b"".join(bytes(pyarrow.compress(part, codec, asbytes=True)) for part in (data[:half], data[half:]))


def parquet(path: Path, texts: list[str]) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "other": [1] * len(texts)}), path, row_group_size=40)


FORMS: dict[str, Write] = {
    ".jsonl": lambda path, texts: path.write_bytes(lines(texts)) and None,
    ".jsonl.gz": lambda path, texts: path.write_bytes(gzip.compress(lines(texts))) and None,
    ".jsonl.bz2": lambda path, texts: path.write_bytes(bz2.compress(lines(texts))) and None,
    ".jsonl.xz": lambda path, texts: path.write_bytes(lzma.compress(lines(texts))) and None,
    ".jsonl.zst": lambda path, texts: path.write_bytes(compressed(lines(texts), "zstd")) and None,
    ".parquet": parquet,
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for name, texts in TEXTS.items():
        FORMS[".jsonl"](folder / f"{name}.jsonl", texts)
    return folder


@pytest.fixture
def options(tmp_path: Path) -> ImportOptions:
    return ImportOptions(to=tmp_path / "tokens", tokenizer=write_tokenizer(tmp_path), held_out=0.2)


def quiet() -> Display:
    return Display(lambda _: None, pytest.fail)


def documents_of(corpus: ImportedCorpus, domain: str, split: str) -> list[str]:
    """The documents that a split's tokens decode to, each without the end of text."""
    ids = corpus.tokens(domain, split)[:]
    ends = np.flatnonzero(ids == corpus.end_of_text)
    assert ends[-1] == len(ids) - 1
    parts = np.split(ids, ends + 1)[:-1]
    bpe = corpus.tokenizer()
    return [bpe.decode(part[:-1].tolist()) for part in parts]


def test_tokens_decode_to_the_documents_which_hashes_split(source: Path, options: ImportOptions) -> None:
    corpus = imported(str(source), options, quiet())
    for name, texts in TEXTS.items():
        for split in PARTS:
            assert documents_of(corpus, name, split) == [text for text in texts if by_hash(0.2, text) == split]
    assert {by_hash(0.2, text) for text in TEXTS["news"]} == set(PARTS)
    assert corpus.manifest.domains[0].documents == {
        split: sum(by_hash(0.2, text) == split for text in TEXTS["news"]) for split in PARTS
    }
    assert corpus.tokens("news", "train").dtype == np.uint16
    assert corpus.tokenizer_name.startswith("tokenizer.model (sha256 ")
    assert not (options.to / STATE).exists()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_text_makes_the_same_tokens(
    form: str, source: Path, options: ImportOptions, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    for name, texts in TEXTS.items():
        FORMS[form](folder / f"{name}{form}", texts)
    other = ImportOptions(to=tmp_path / "others", tokenizer=options.tokenizer, held_out=0.2)
    assert imported(str(folder), other, quiet()).content_hash == imported(str(source), options, quiet()).content_hash


def test_plain_text_is_cut_into_documents_at_empty_lines(options: ImportOptions, tmp_path: Path) -> None:
    paragraphs = [f"the thing {n} " * 90 + "end" for n in range(60)]
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "one.txt").write_text("\r\n\r\n".join(paragraphs), newline="")
    corpus = imported(str(tmp_path / "book"), options, Display(lambda _: None, lambda _: None))
    found = [text for split in PARTS if corpus.manifest.of("one", split) for text in documents_of(corpus, "one", split)]
    assert len(found) > 5
    assert sorted(part for text in found for part in text.split("\n\n")) == sorted(paragraphs)


def test_a_key_says_the_domain_and_slimpajamas_names_are_the_products(options: ImportOptions, tmp_path: Path) -> None:
    names = ["RedPajamaCommonCrawl", "RedPajamaStackExchange", "recipes"]
    records = [{"content": {"raw": f"the {n}"}, "meta": {"redpajama_set_name": names[n % 3]}} for n in range(60)]
    (tmp_path / "chunk1").mkdir()
    (tmp_path / "chunk1" / "a.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n\n")
    asked = ImportOptions(
        **{**vars(options), "text_key": "content.raw", "domain_key": "meta.redpajama_set_name", "held_out": 0.5}
    )
    corpus = imported(str(tmp_path / "chunk1"), asked, quiet())
    assert [domain.name for domain in corpus.domains] == ["commoncrawl", "recipes", "stackexchange"]


def test_domains_of_the_papers_names_have_its_shares_others_the_same() -> None:
    assert shares(DataConfig(tokens="t"), ["github", "c4"])["c4"] == pytest.approx(0.081 / 0.13)
    assert shares(DataConfig(tokens="t"), list(PAPER)) == pytest.approx(PAPER)
    assert shares(DataConfig(tokens="t"), ["github", "recipes"]) == {"github": 0.5, "recipes": 0.5}


def test_documents_are_cleaned_and_empty_ones_counted(options: ImportOptions, tmp_path: Path) -> None:
    (tmp_path / "web.jsonl").write_text(
        json.dumps({"text": "the \r\nthing\ud800  "}) + '\n{"text": null}\n{"text": " \\n "}\n' + '{"text": "in"}\n' * 9
    )
    corpus = imported(str(tmp_path / "web.jsonl"), options, Display(lambda _: None, lambda _: None))
    assert corpus.domains[0].dropped == {"empty": 2}
    found = [text for split in PARTS if corpus.manifest.of("web", split) for text in documents_of(corpus, "web", split)]
    assert sorted(found) == sorted([clean("the \r\nthing\ud800  "), *["in"] * 9])


def test_equal_documents_are_in_the_same_split() -> None:
    assert by_hash(0.3, "the  thing") == by_hash(0.3, "the\nthing")


def test_an_import_ends_after_the_tokens_that_were_asked_for(source: Path, options: ImportOptions) -> None:
    asked = ImportOptions(**{**vars(options), "tokens": 500})
    corpus = imported(str(source), asked, Display(lambda _: None, lambda _: None))
    assert [domain.name for domain in corpus.domains] == ["news"]


@pytest.mark.parametrize("shard", [7, 50, 10**6])
def test_any_size_of_shard_holds_the_same_tokens(shard: int, source: Path, tmp_path: Path) -> None:
    source = source if shard > 7 else only_some(source, 9)
    tokenizer = write_tokenizer(tmp_path)
    corpora = [
        import_tokens(asked_of(source, tokenizer, size), tmp_path / f"{size} tokens", print) for size in (shard, 10**7)
    ]
    for name in ("news", "tales"):
        small, whole = (corpus.tokens(name, "train") for corpus in corpora)
        assert np.array_equal(small[:], whole[:])
        for start in range(0, len(whole) - 20, 13):
            assert np.array_equal(small[start : start + 20], whole[start : start + 20])


def only_some(source: Path, most: int) -> Path:
    for file in source.iterdir():
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:most]))
    return source


IMPORT = """
import sys
from pathlib import Path
from mta_lab.data import cache, importing
from tests.data.imports import asked_of
importing.KEPT = 0.0  # a state after every batch, of a few documents each
importing.DOCUMENTS = 4
importing.import_tokens(asked_of(Path(sys.argv[1]), Path(sys.argv[2]), 300), Path(sys.argv[3]), print)
"""


def test_an_import_that_is_killed_goes_on_and_holds_the_same_bytes(source: Path, tmp_path: Path) -> None:
    tokenizer, killed, whole = write_tokenizer(tmp_path), tmp_path / "killed", tmp_path / "whole"
    for name, texts in TEXTS.items():
        FORMS[".jsonl"](source / f"{name}.jsonl", texts * 10)
    command = [sys.executable, "-c", IMPORT, str(source), str(tokenizer), str(killed)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)
    while not (killed / STATE).exists() or len(list(killed.glob("*.bin"))) < 4:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with (killed / "news.train.00099.bin").open("wb") as file:  # written after the last state
        file.write(b"xy")
    said: list[str] = []
    again = import_tokens(asked_of(source, tokenizer, 300), killed, said.append)
    assert said[0].startswith("going on after ")
    undisturbed = import_tokens(asked_of(source, tokenizer, 300), whole, print)
    assert again.content_hash == undisturbed.content_hash
    assert files_of(killed) == files_of(whole)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


class EndedError(Exception):
    """Stands for the end of a process at a chosen place."""


@pytest.mark.parametrize("lines_said", [1, 2, 7, 12])
def test_an_import_goes_on_from_any_of_its_states(
    lines_said: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is said before a state is written: more is on disk then than the last one counts."""
    monkeypatch.setattr(importing, "KEPT", 0.0)
    monkeypatch.setattr(importing, "DOCUMENTS", 4)
    asked = asked_of(only_some(source, 24), write_tokenizer(tmp_path), 150)
    said: list[str] = []

    def until(line: str) -> None:
        said.append(line)
        if len(said) == lines_said:
            raise EndedError

    with pytest.raises(EndedError):
        import_tokens(asked, tmp_path / "ended", until)
    ended = import_tokens(asked, tmp_path / "ended", lambda _: None)
    assert ended.manifest == import_tokens(asked, tmp_path / "whole", lambda _: None).manifest
    assert all(not wrong for _, wrong in ended.verified())


def test_a_file_is_read_from_its_start_to_its_end(source: Path) -> None:
    path = source / "news.jsonl"
    reader = FileReader(path, "news", Keys(), {"documents": 80})
    assert reader.position == 0
    assert [text for _, text in reader] == TEXTS["news"][80:]
    assert (reader.position, reader.state) == (path.stat().st_size, {"documents": 90})


def test_the_same_command_opens_what_it_has_imported(source: Path, options: ImportOptions) -> None:
    first = imported(str(source), options, quiet())
    stamp = (options.to / "news.train.00000.bin").stat().st_mtime_ns
    assert imported(str(source), options, quiet()).content_hash == first.content_hash
    assert (options.to / "news.train.00000.bin").stat().st_mtime_ns == stamp


def test_the_products_own_text_keeps_its_split(
    options: ImportOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = tmp_path / "data" / corpus_name(DataConfig(corpus="stdlib")) / "text"
    text.mkdir(parents=True)
    written = {"train": TEXTS["news"][:60], "valid": TEXTS["news"][60:]}
    for domain in ("github", "stackexchange"):
        for split, texts in written.items():
            (text / f"{domain}.{split}.jsonl").write_bytes(lines(texts))
    cache.seal(text, {"domains": [{"name": "github"}, {"name": "stackexchange"}]})
    corpus = imported("corpus:stdlib", options, quiet())
    assert [domain.name for domain in corpus.domains] == ["github", "stackexchange"]
    assert documents_of(corpus, "github", "train") == written["train"]
    assert documents_of(corpus, "github", "valid") == written["valid"]
    assert corpus.held_out("test") == ("valid", "test")
    assert corpus.domains[0].held_out_tokens("test") == corpus.domains[0].valid_tokens


def test_the_whole_folder_may_move(source: Path, options: ImportOptions, tmp_path: Path) -> None:
    corpus = imported(str(source), options, quiet())
    moved = options.to.rename(tmp_path / "elsewhere")
    assert open_imported(moved).content_hash == corpus.content_hash


FAULTS: list[tuple[str, dict[str, object], str]] = [
    ("not json\n", {}, r"web\.jsonl:1: not JSON; one object a line is expected"),
    ('{"text": "a"}\n{"text": 3}\n', {}, r"web\.jsonl:2: 'text' is no text; --text-key names another"),
    ('{"content": "a", "id": 1}\n', {}, r"has no 'text' \(its keys: content, id\); --text-key names another"),
    ('{"text": "a", "m": 1}\n', {"domain_key": "m.set"}, r"has no 'm\.set' \(its keys: text, m\); --domain-key names"),
    ('{"text": "a", "m": "a/b"}\n', {"domain_key": "m"}, r"got 'a/b' for the name of a domain"),
    ("\n", {}, r"holds no text"),
    (
        '{"text": "a"}\n',
        {"held_out": 0.999},
        r"domain 'web' has no text to train on \(documents held out: 1, dropped: 0\)",
    ),
    (
        '{"text": "a", "m": "x"}\n{"text": "", "m": "y"}\n',
        {"domain_key": "m"},
        r"domain 'y' has no text to train on \(documents held out: 0, dropped: 1\)",
    ),
    ("{}", {"held_out": 1.5}, r"--held-out: got 1\.5, allowed: more than 0, less than 1"),
    ("{}", {"end_of_text": "<end>"}, r"--end-of-text: .* has no token <end>; name the one that ends a document"),
    ("{}", {"tokenizer": Path("none.json")}, r"--tokenizer: none\.json cannot be read"),
]


@pytest.mark.parametrize(("content", "changed", "complaint"), FAULTS, ids=[fault[-1] for fault in FAULTS])
def test_bad_input_is_one_line(
    content: str, changed: dict[str, object], complaint: str, options: ImportOptions, tmp_path: Path
) -> None:
    (tmp_path / "web.jsonl").write_text(content)
    asked = ImportOptions(**{**vars(options), **changed})
    with pytest.raises(UserError, match=complaint) as refused:
        imported(str(tmp_path / "web.jsonl"), asked, quiet())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["content", "other.set", "meta.set"])
@pytest.mark.parametrize("option", ["text_key", "domain_key"])
def test_a_parquet_file_without_a_key_is_refused_with_its_columns(
    option: str, key: str, options: ImportOptions, tmp_path: Path
) -> None:
    table = pyarrow.table({"text": ["a"], "other": [1], "meta": [{"name": "x"}]})
    pyarrow.parquet.write_table(table, tmp_path / "web.parquet")
    asked = ImportOptions(**{**vars(options), option: key})
    with pytest.raises(UserError, match=rf"has no '{key}' \(its keys: text, other, meta\)"):
        imported(str(tmp_path / "web.parquet"), asked, quiet())


def test_what_is_said_of_compressed_files_leaves_parquet_out(options: ImportOptions, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.md, all but \.parquet also compressed as \.gz"):
        imported(str(tmp_path / "nowhere"), options, quiet())


def test_a_key_of_too_many_values_is_no_domains(options: ImportOptions, tmp_path: Path) -> None:
    (tmp_path / "web.jsonl").write_text("".join(json.dumps({"text": "a", "id": str(n)}) + "\n" for n in range(200)))
    asked = ImportOptions(**{**vars(options), "domain_key": "id"})
    with pytest.raises(UserError, match=r"more than 100 domains \(0, 1, 2 \.\.\.\); --domain-key must name"):
        imported(str(tmp_path / "web.jsonl"), asked, quiet())


@pytest.mark.parametrize("form", [form for form in FORMS if form != ".jsonl"])
def test_a_torn_file_is_named(form: str, options: ImportOptions, tmp_path: Path) -> None:
    path = tmp_path / f"web{form}"
    FORMS[form](path, TEXTS["news"] * 20)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(UserError, match=rf"web{form} cannot be read \(.*; it is damaged, or not what its name says"):
        imported(str(path), options, quiet())


@pytest.mark.parametrize("form", [form for form in FORMS if form.count(".") == 2])
def test_no_text_is_lost_behind_a_damaged_frame(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"web{form}"
    FORMS[form](path, TEXTS["news"])
    whole = path.read_bytes()
    path.write_bytes(whole + whole)
    assert len(list(FileReader(path, "web", Keys(), {}))) == 180
    for content in (b"", whole + whole[:-20], whole + b"no frame" + whole):
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"web{form} cannot be read \(.*; it is damaged, or not what its name"):
            list(FileReader(path, "web", Keys(), {}))


def test_a_file_that_cannot_be_written_is_one_line(options: ImportOptions, tmp_path: Path) -> None:
    (tmp_path / "web.jsonl").write_text(json.dumps({"text": "a", "set": "x" * 300}))
    asked = ImportOptions(**{**vars(options), "domain_key": "set"})
    with pytest.raises(UserError, match=r"--to: .* cannot be written \(File name too long\); make room or choose"):
        imported(str(tmp_path / "web.jsonl"), asked, quiet())


def test_a_text_too_small_to_hold_out_from_is_told_which_option_mends_it(
    options: ImportOptions, tmp_path: Path
) -> None:
    (tmp_path / "web.jsonl").write_text('{"text": "a"}\n')
    notes: list[str] = []
    imported(str(tmp_path / "web.jsonl"), options, Display(lambda _: None, notes.append))
    assert any("no document fell to 'valid'" in note and "a larger --held-out than" in note for note in notes)


def test_another_import_does_not_go_on_in_the_folder(source: Path, options: ImportOptions, tmp_path: Path) -> None:
    imported(str(source), options, quiet())
    with pytest.raises(UserError, match="holds another import; give a new folder"):
        imported(str(source), ImportOptions(**{**vars(options), "held_out": 0.3}), quiet())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(UserError, match=r"holds other files \(notes\.txt\); give a new folder"):
        imported(str(source), ImportOptions(**{**vars(options), "to": tmp_path / "full"}), quiet())
    with pytest.raises(UserError, match="is inside of what is imported"):
        imported(str(source), ImportOptions(**{**vars(options), "to": source / "tokens"}), quiet())


def test_an_import_that_has_not_ended_is_not_trained_on(
    source: Path, options: ImportOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "KEPT", 0.0)
    monkeypatch.setattr(importing, "DOCUMENTS", 9)

    def failing(line: str) -> None:
        if (options.to / STATE).exists():
            raise EndedError

    with pytest.raises(EndedError):
        imported(str(source), options, Display(failing, print))
    with pytest.raises(UserError, match=r"its import has not ended: the same `mta-lab data import` command goes on"):
        open_imported(options.to)
    with pytest.raises(
        UserError, match=r"has not ended, with --held-out 0\.2, not 0\.3; type that command, on the same files"
    ):
        imported(str(source), ImportOptions(**{**vars(options), "held_out": 0.3}), quiet())
