"""A user's own text: the files that are read, and what is said of all others."""

import bz2
import gzip
import json
import lzma
import os
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

from mta_lab.config import DataConfig
from mta_lab.data import find, own, prepare
from mta_lab.data.unpacking import UNPACKERS
from mta_lab.errors import UserError

LINES = '{"text": "one"}\n\n{"text": "two", "id": 3}\n'


def zstandard(data: bytes) -> bytes:
    """In two frames, as a file that was written in two goes."""
    codec = pyarrow.Codec("zstd")
    return bytes(codec.compress(data[:9], asbytes=True) + codec.compress(data[9:], asbytes=True))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard,
}


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def read(folder: Path) -> dict[str, list[str]]:
    """The documents by domain."""
    found = own.own_files(folder).domains
    return {domain: [text for file in files for text in own.own_text(file)] for domain, files in found.items()}


def numbered(count: int, first: int = 0) -> str:
    """So many documents as JSON lines."""
    return "".join(json.dumps({"text": f"document {n}"}) + "\n" for n in range(first, first + count))


def test_a_domain_is_a_file_or_all_files_of_a_folder_and_those_below_it(tmp_path: Path) -> None:
    files = {"web.jsonl": LINES, "book.txt": "\ufeffnaïve", "code/a.txt": "a", "code/2024/05/b.JSONL": LINES}
    write(tmp_path, {**files, "code/c.md": "c", "web.md": "three"})
    assert read(tmp_path) == {"book": ["naïve"], "code": ["one", "two", "a", "c"], "web": ["one", "two", "three"]}
    assert read(tmp_path / "web.jsonl") == {"web": ["one", "two"]}


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("name", ["web.jsonl", "Web.JSONL", "web.ndjson", "web.json", "web.en.txt", "web.MD"])
def test_every_format_is_read_in_any_case_and_compressed(tmp_path: Path, name: str, packing: str) -> None:
    text = "one\n\ntwo" if name.lower().endswith(("txt", "md")) else LINES
    write(tmp_path, {f"{name}{packing.upper()}": PACKERS[packing](text.encode())})
    assert own.READERS.keys() >= {Path(name).suffix.lower()}
    assert UNPACKERS.keys() == PACKERS.keys() - {""}
    assert read(tmp_path) == {Path(name).stem: ["one\n\ntwo"] if text != LINES else ["one", "two"]}


@pytest.mark.parametrize(
    ("content", "documents"),
    [
        ('[{"text": "one"}, {"text": "two"}]', ["one", "two"]),
        ('[\n "one",\n "two"\n]\n', ["one", "two"]),
        ('{\n "text": "one"\n}', ["one"]),
        (LINES, ["one", "two"]),
        ("", []),
        ("[]", []),
    ],
)
def test_a_json_file_is_a_list_an_object_or_lines(tmp_path: Path, content: str, documents: list[str]) -> None:
    assert read(write(tmp_path, {"web.json": content})) == {"web": documents}


def test_what_is_not_read_is_named_with_the_reason(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"news/a.txt": "a", "tales.jsonl": numbered(30), "news/b.txt": "b " * 50}
    others: dict[str, str | bytes] = {
        "README.md": "of it",
        "news/photo.png": b"\x89",
        "all.tar.gz": b"",
        "page.html": "",
    }
    text = write(tmp_path / "text", {**files, **others, ".git/config": "", "news/.DS_Store": "", "news/deep/x.bin": ""})
    (text / "news" / "elsewhere").symlink_to(text)
    (text / "gone.txt").symlink_to(text / "nowhere")
    said: list[str] = []
    prepare(DataConfig(path=str(text)), 270, tmp_path / "data", said.append)
    assert [line for line in said if line.startswith("left out")] == [
        "left out: .git: hidden",
        "left out: README.md: it describes the folder; to train on it, give it another name",
        "left out: all.tar.gz: its format is not read",
        "left out: gone.txt: not a file, or a link to a missing file",
        "left out: news/.DS_Store: hidden",
        "left out: news/deep/x.bin: its format is not read",
        "left out: news/elsewhere: a link to a folder",
        "left out: news/photo.png: its format is not read",
        "left out: page.html: its format is not read",
    ]
    assert f"formats that are read: {own.in_words(own.READERS)}" in said


def test_a_summary_says_what_came_in_and_what_was_dropped_and_why(tmp_path: Path) -> None:
    long = "A paragraph that is long enough to count as a duplicate wherever in the corpus it turns up again."
    news = numbered(30) + numbered(4) + '{"text": ""}\n{"text": " \\n"}\n' + json.dumps({"text": long})
    tales = "".join(json.dumps({"text": f"{title}\n\n{long}"}) + "\n" for title in ("E", "K")) + numbered(60, 100)
    text, said = write(tmp_path / "text", {"news.jsonl": news, "tales.jsonl": tales}), list[str]()
    data = DataConfig(path=str(text))
    prepare(data, 270, tmp_path / "data", said.append)
    assert [line for line in said if "read" in line] == [
        "domain 'news': documents read: 37, kept for training: 29, for validation: 2; "
        "dropped: 2 empty, 4 repeating another",
        "domain 'tales': documents read: 62, kept for training: 56, for validation: 4; "
        "dropped: 2 repeating text of news",
    ]
    kept = find(data, 270, tmp_path / "data")
    assert kept
    assert [domain.dropped for domain in kept.domains] == [
        {"empty": 2, "repeating another": 4},
        {"repeating text of news": 2},
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"text": "fine"}\n{"body": "no"}\n', 'web.jsonl:2: no "text" string; expected {"text": "..."}'),
        (b'{"text": "fine"}\n["text"]\n', 'web.jsonl:2: no "text"'),
        (b'{"text": 5}', 'web.jsonl:1: no "text"'),
        (b'{"text": "fine"}\n\n{"text": \n', "web.jsonl:3: not JSON"),
        (b'{"text": "fine"}\n' + b"[" * 100_000, "web.jsonl:2: not JSON (too many brackets within brackets)"),
        (b'{"text": "fine", "id": ' + b"7" * 5000 + b"}", "web.jsonl:1: not JSON (a number with too many digits)"),
        (b'{"text": "caf\xe9"}', "web.jsonl is not UTF-8 (byte 13)"),
        (b'{"text": "alone"}', "documents read: 1, kept for training: 1, for validation: 0; each needs one"),
        (b'{"text": "a"}\n{"text": "a "}', "kept for training: 1, for validation: 0; dropped: 1 repeating another;"),
        (b'{"text": ""}\n{"text": "\\n"}', "domain 'web': documents read: 2, kept for training: 0, for validation: 0; "
            "dropped: 2 empty; each needs one: add text"),
        (b"", "domain 'web': documents read: 0,"),
    ],
)  # fmt: skip
def test_errors_in_own_text_say_where_and_why(tmp_path: Path, content: bytes, complaint: str) -> None:
    text = write(tmp_path / "text", {"web.jsonl": content})
    with pytest.raises(UserError) as caught:
        prepare(DataConfig(path=str(text)), 270, tmp_path / "data")
    assert complaint in str(caught.value)
    assert not list((tmp_path / "data").glob("*/text"))


def test_too_little_text_in_files_side_by_side_is_answered_with_the_layout(tmp_path: Path) -> None:
    text = write(tmp_path / "text", {f"doc{number}.txt": f"A short text, {number}." for number in range(8)})
    with pytest.raises(UserError, match=r"domain .doc0.*put files of one domain into one subfolder"):
        prepare(DataConfig(path=str(text)), 270, tmp_path / "data")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('[{"text": "one"}, 7]', 'web.json, item 2: no "text"'),
        ('{"a": 1}', 'web.json, item 1: no "text"'),
        ('[{"text": "one"},\n {"text": "two"', "web.json:2: not JSON (Expecting ',' delimiter)"),
        ('{"text": "one"}\n{"text": ', "web.json:2: not JSON"),
        ("7", 'web.json, item 1: no "text"'),
        ('{"a":' * 100_000, "web.json: not JSON (too many brackets within brackets)"),
        (f'[{{"text": "one", "id": {"7" * 5000}}}]', "web.json: not JSON (a number with too many digits)"),
    ],
)
def test_errors_in_a_json_file_say_where(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(UserError) as caught:
        read(write(tmp_path, {"web.json": content}))
    assert complaint in str(caught.value)


@pytest.mark.parametrize("packing", UNPACKERS)
def test_a_damaged_file_is_refused_with_its_name(tmp_path: Path, packing: str) -> None:
    whole = PACKERS[packing](numbered(200).encode())
    cut_off = (whole[:-20], b"", whole + whole[:-20])
    for content in (*cut_off, whole + b"no frame" + whole, b"no such format", numbered(2).encode()):
        with pytest.raises(UserError, match=rf"data\.path: .*web\.jsonl\{packing} cannot be unpacked \(.*is damaged"):
            read(write(tmp_path, {f"web.jsonl{packing}": content}))


def test_text_that_another_domain_holds_already_names_that_domain(tmp_path: Path) -> None:
    text = write(tmp_path / "text", {"news.jsonl": numbered(30), "tales.jsonl": numbered(30)})
    with pytest.raises(
        UserError, match=r"^data: domain 'tales': documents read: 30, .*: 0; .*repeating text of news; "
    ):
        prepare(DataConfig(path=str(text)), 270, tmp_path / "data")


def test_missing_and_empty_own_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not exist; give a folder, or a file: \.jsonl"):
        own.own_files(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no DOMAIN\.jsonl or other text that is read \(\.jsonl, .*\.zst\)$"):
        own.own_files(tmp_path)
    with pytest.raises(UserError, match=r"; photo\.png is left out: its format is not read$"):
        own.own_files(write(tmp_path / "other", {"photo.png": ""}))


def test_a_long_text_file_is_cut_at_empty_lines() -> None:
    paragraphs = [f"{number} " + "word " * 100 for number in range(100)]
    pieces = list(own.pieces("\n\n".join(paragraphs), Path()))
    assert "\n\n".join(pieces) == "\n\n".join(paragraphs)
    assert len(pieces) > 5
    assert all(own.PIECE <= len(piece) < own.PIECE + 600 for piece in pieces[:-1])


def test_a_name_that_is_not_utf8_is_left_out(tmp_path: Path) -> None:
    for name in (b"caf\xe9.jsonl", b"caf\xe9/a.jsonl", b"news/caf\xe9.jsonl", b"news/b.jsonl"):
        write(tmp_path, {os.fsdecode(name): LINES})
    found = own.own_files(tmp_path)
    assert found.domains == {"news": [tmp_path / "news" / "b.jsonl"]}
    assert [*found.left_out.values()] == ["its name is not UTF-8"] * 3


@pytest.mark.parametrize(
    ("path", "said"),
    [("~nobody-of-this-name/x", "is not a path that can be followed"), ("loop/x", "is not a path|does not exist"),
     (".", "holds the folder .*data, where text is prepared; put your text into a folder of its own"),
     ("..", "holds the folder|cannot be read")],
)  # fmt: skip
def test_a_path_of_no_text_of_its_own_is_one_line(
    path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    os.symlink("loop", "loop")
    write(Path(), {"news.jsonl": numbered(40)})
    with pytest.raises(UserError, match=r"^data\.path: ") as caught:
        prepare(DataConfig(path=path), 270, Path("data"))
    assert re.search(said, str(caught.value))
    assert not Path("data").exists()
