"""Damage on disk, met by a command: one line with the file and the remedy, no other change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mta_lab.data import Corpus
from tests.cli.conftest import Command

SWEEP = ("sweep", "masking", "data.path=mine", "--seeds", "1")
EVIL = "title: !!python/object/apply:os.system ['touch ran']\nrows: {a: {}}\n"


def a_file_for_results(corpus: Corpus) -> Path:
    Path("results").write_text("notes")
    return Path("results")


def a_shorter_token_file(corpus: Corpus) -> Path:
    path = corpus.directory / "news.train.bin"
    path.write_bytes(path.read_bytes()[:-1000])
    return path


def zeroed_tokens(corpus: Corpus) -> Path:
    path = corpus.directory / "news.train.bin"
    path.write_bytes(bytes(path.stat().st_size))
    return path


DAMAGE: dict[str, tuple[Callable[[Corpus], Path], str]] = {
    "a file in the place of the results": (a_file_for_results, "is not a directory; move it away or start elsewhere"),
    "a truncated token file": (a_shorter_token_file, "mta-lab data prepare"),
    "zeroed tokens": (zeroed_tokens, "mta-lab data prepare"),
}


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_what_to_do(name: str, lab: Command, corpus: Corpus, tmp_path: Path) -> None:
    damage, says = DAMAGE[name]
    path, before = damage(corpus), content(tmp_path)
    complaint = lab(*SWEEP).complaint
    assert str(path) in complaint
    assert says in complaint
    assert content(tmp_path) == before


def test_a_cache_that_is_a_link_is_named_and_nothing_is_built_there(
    lab: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mta-lab").symlink_to("elsewhere")
    assert lab("build-kernel").complaint.startswith(f"build-kernel: {tmp_path / 'mta-lab'}: a link")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("text", "says"),
    [("rows: {a: [\n", "not a YAML file that can be read"), (EVIL, "python/object/apply:os.system")],
    ids=["no YAML", "a Python tag"],
)
def test_a_file_that_is_no_sweep_runs_nothing(text: str, says: str, lab: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    complaint = lab("sweep", "mine.yaml").complaint
    assert complaint.startswith("mine.yaml: ")
    assert says in complaint
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_data_verify_says_of_each_file_whether_it_is_as_it_was_prepared(lab: Command, corpus: Corpus) -> None:
    files = [path for path in corpus.directory.parent.rglob("*.*") if path.is_file() and path.name != "manifest.json"]
    whole = lab("data", "verify", "data.path=mine")
    assert whole.status == 0
    assert whole.out.count("as it was prepared") == len([path for path in files if path.name != ".lock"])
    damaged = zeroed_tokens(corpus)
    found = lab("data", "verify", "data.path=mine")
    assert found.status == 2
    assert f"{damaged}: has another content than when it was prepared\n" in found.out
    assert f"rm -r {corpus.directory}" in found.err


def test_data_verify_without_prepared_text_says_what_to_type(lab: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "news.txt").write_text("a text")
    assert (
        "`mta-lab data prepare` with the same settings prepares it" in lab("data", "verify", "data.path=mine").complaint
    )


@pytest.mark.parametrize("words", [("generate", "6x11"), ("kernels", "6x11"), ("evaluate", "--on", "needles")])
def test_where_nothing_is_prepared_it_says_the_command_that_trains(words: tuple[str, ...], lab: Command) -> None:
    command, *rest = words
    complaint = lab(command, "kernel_sizes", *rest, "training.steps=20").complaint
    assert "its text is not prepared here, so " in complaint
    trains = "`mta-lab sweep kernel_sizes training.steps=20 --scale nano`"
    assert complaint.endswith(f"; {trains} prepares it and trains what is missing")
