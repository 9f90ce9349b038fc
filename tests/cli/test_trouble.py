"""Damage on disk, met by a command: one line with the file and what to do, status 2, nothing else touched."""

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


DAMAGE: dict[str, tuple[Callable[[Corpus], Path], str]] = {
    "a file in the place of the results": (a_file_for_results, "is not a directory; move it away or start elsewhere"),
    "a truncated token file": (a_shorter_token_file, "prepare again"),
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
