"""Links where a file is to be written: no file that one points to is changed or truncated."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from mta_lab.atomic import open_log, replacing, write_whole
from mta_lab.data import cache
from mta_lab.errors import UserError
from mta_lab.launch.guards import disk_full_reported, launch_runs, only_launch
from mta_lab.results.exchange import archive, merge
from mta_lab.results.records import Failure, Records
from mta_lab.scheduling.journal import open_study
from mta_lab.theme import style
from tests.config.helpers import config
from tests.report.examples import example_record

CONTENT = "somebody's notes, without an end of line"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    file = tmp_path / "notes"
    file.write_text(CONTENT)
    return file


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


def symbolic(place: Path, notes: Path) -> None:
    place.symlink_to(notes)


def hard(place: Path, notes: Path) -> None:
    place.hardlink_to(notes)


def dangling(place: Path, notes: Path) -> None:
    place.symlink_to(notes.with_name("made by nobody"))


LINKS = [symbolic, hard, dangling]
WRITERS: dict[str, Callable[[Path], object]] = {
    "a page": lambda path: write_whole(path, "new"),
    "a private file": lambda path: write_whole(path, "new", private=True),
    "a figure": lambda path: style.save(Figure(), path.with_suffix(".svg")),
}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("what", WRITERS)
def test_a_link_in_the_place_of_a_file_is_replaced_itself(
    what: str, link: Callable[[Path, Path], None], notes: Path, results: Path
) -> None:
    place = results / "file.svg"
    link(place, notes)
    WRITERS[what](place)
    assert notes.read_text() == CONTENT
    assert not place.is_symlink()
    assert place.stat().st_nlink == 1
    assert sorted(path.name for path in notes.parent.iterdir()) == ["notes", "results"]
    assert [path.name for path in results.iterdir()] == ["file.svg"]


def test_nobody_knows_the_name_of_an_unfinished_file(results: Path) -> None:
    names = set()
    for _ in range(3):
        with replacing(results / "file"):
            names |= {path.name for path in results.iterdir()} - {"file"}
    assert len(names) == 3
    assert all(name.startswith("file.") and name.endswith(".tmp") for name in names)


@contextmanager
def a_corpus(results: Path) -> Iterator[None]:
    with cache.building(results / "tokens"):
        yield


OPENED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "the lock of a launch": ("launch.lock", lambda results: only_launch(results).__enter__()),
    "the lock that status looks at": ("launch.lock", launch_runs),
    "the lock of a text": (".lock", lambda results: cache.lock(results, print).__enter__()),
    "the folder of an unfinished text": (".building-tokens", lambda results: a_corpus(results).__enter__()),
    "the log of a worker": ("worker-0.log", lambda results: open_log(results / "worker-0.log")),
    "the journal": ("optuna.journal", lambda results: open_study(results / "optuna.journal", "table", print)),
}


@pytest.mark.parametrize("link", [symbolic, dangling])
@pytest.mark.parametrize("what", OPENED)
def test_a_symbolic_link_in_the_place_of_a_file_that_stays_is_refused_by_name(
    what: str, link: Callable[[Path, Path], None], notes: Path, results: Path
) -> None:
    name, action = OPENED[what]
    link(results / name, notes)
    with pytest.raises(UserError, match=name) as refused, disk_full_reported(results):
        action(results)
    assert "symbolic link, which is not followed" in str(refused.value) or name == ".building-tokens"
    assert notes.read_text() == CONTENT
    assert sorted(path.name for path in notes.parent.iterdir()) == ["notes", "results"]


@pytest.mark.parametrize("what", ["the lock of a launch", "the lock of a text"])
def test_a_lock_that_is_another_name_of_a_file_leaves_it_as_it_is(what: str, notes: Path, results: Path) -> None:
    name, action = OPENED[what]
    hard(results / name, notes)
    action(results)
    assert notes.read_text() == CONTENT


def test_a_results_directory_may_be_a_link(tmp_path: Path, results: Path) -> None:
    (tmp_path / "large disk").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "large disk")
    records = Records(tmp_path / "linked")
    with only_launch(records.directory):
        assert launch_runs(records.directory)
        records.finish(example_record("a" * 16, 9.0, config()))
        open_log(records.directory / "worker-0.log").close()
        open_study(records.directory / "optuna.journal", "table", print)
    assert records.finished("a" * 16)
    assert (tmp_path / "large disk" / "runs").is_dir()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_others_cannot_read_what_may_hold_a_secret(results: Path) -> None:
    records, before = Records(results), os.umask(0o022)
    try:
        records.fail(Failure(fingerprint="a" * 16, label="a seed 0", reason="password", traceback=""))
        (results / "worker-0.log").touch(mode=0o644)
        open_log(results / "worker-0.log").close()
        records.finish(example_record("b" * 16, 9.0, config()))
    finally:
        os.umask(before)
    assert mode(results / "failed" / f"{'a' * 16}.json") == 0o600
    assert mode(results / "worker-0.log") == 0o600
    assert mode(results / "runs" / f"{'b' * 16}.json") == 0o644  # results are there to be shared


def test_a_link_among_somebodys_results_takes_no_file_along(notes: Path, results: Path, tmp_path: Path) -> None:
    theirs, name = Records(tmp_path / "theirs"), "a" * 16
    theirs.finish(example_record(name, 9.0, config()))
    theirs.weights(name).parent.mkdir()
    theirs.weights(name).symlink_to(notes)
    done = merge(Records(results), theirs.directory, replace=False, failures=False, weights=True)
    assert done.unreadable == [f"weights/{name}.pt"]
    assert not Records(results).weights(name).exists()
    with pytest.raises(UserError, match="is a link"):
        archive(tmp_path / "packed.tar.gz", {"weights": theirs.weights(name)})
    assert not (tmp_path / "packed.tar.gz").exists()
