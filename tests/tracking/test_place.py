"""The files of MLflow's runs lie in the working directory, and follow it when it is moved."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking._tracking_service.utils import _tracking_store_registry

from mta_lab.errors import UserError
from mta_lab.results.records import Records
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.tracking.place import follow, make_whole
from mta_lab.tracking.sync import Synced, sync
from mta_lab.tracking.tracker import Tracker
from tests.tracking.launches import LAUNCH, PARENTS, end, entry, finished, runs

STORE = "sqlite:///mlflow.db"


@pytest.fixture
def home(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the default store, and a directory around it.

    MLflow is made to forget the stores of other tests: a process has one, by an address that may
    begin here.
    """
    monkeypatch.setattr(SqlAlchemyStore, "_engine_map", {})
    _tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    work_in(tmp_path / "first", monkeypatch)
    shutil.copy(empty_database, ".")
    return tmp_path


def work_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)


def launch(run: str) -> list[str]:
    """A launch of a run, with a file; returns what it says."""
    said: list[str] = []
    tracker = Tracker("table", Records(), said.append)
    tracker.start(LAUNCH)
    tracker.start_run(entry(run))
    end(tracker, Records(), finished(run))
    tracker.end("FINISHED", LaunchSummary("| row |", files=lambda: {"report.html": f"of {run}"}))
    return said


def as_written_before(folder: str) -> None:
    """Let the database have addresses as earlier versions wrote them: unquoted paths."""
    connection = sqlite3.connect("mlflow.db")
    connection.execute(f"UPDATE experiments SET artifact_location = '{folder}/mlruns/1' WHERE experiment_id = 1")
    connection.execute(f"UPDATE runs SET artifact_uri = '{folder}/mlruns/' || run_uuid || '/artifacts'")
    connection.commit()
    connection.close()


def reports() -> set[str]:
    """Return what the runs of launches show on their pages."""
    found = [MlflowClient().download_artifacts(run.info.run_id, "report.html") for run in runs(MlflowClient(), PARENTS)]
    return {Path(file).read_text() for file in found}


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


NAMES = ["a b", "é", "a#b", "a?b", "a%b", "a%25b", "100%20x", "a;b", "a:b", "a&b=c", 'a"b', "mlruns"]


@pytest.mark.parametrize("name", NAMES)
def test_files_lie_in_the_working_directory_whatever_it_is_called(
    name: str, home: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_in(home / name, monkeypatch)
    shutil.copy(empty_database, ".")
    assert launch("a") == []
    assert {place.name for place in home.iterdir()} == {name, "first"}
    assert files(home / "first") == [home / "first" / "mlflow.db"]
    assert reports() == {"of a"}


@pytest.mark.parametrize("how", ["moved", "copied"])
@pytest.mark.parametrize("version", ["this", "an earlier one"])
@pytest.mark.parametrize("name", ["second", "a%25 b#"])
def test_files_follow_a_directory_that_was_moved_or_copied(
    how: str, version: str, name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = home / "first", home / name
    assert launch("a") == []
    if version == "an earlier one":
        as_written_before(str(first))
    (shutil.move if how == "moved" else shutil.copytree)(first, second)
    before = files(first)
    work_in(second, monkeypatch)
    files_of_two = "the files of its 2 runs are read and written here from now on"
    assert launch("b") == [f"MLflow: mlflow.db comes from {first}; {files_of_two}"]
    assert reports() == {"of a", "of b"}
    assert files(first) == before, "nothing is written into the old place"
    assert launch("c") == []


def test_files_that_earlier_versions_wrote_beside_an_odd_directory_are_still_shown(
    home: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_in(home / "a%25b", monkeypatch)
    shutil.copy(empty_database, ".")
    assert launch("a") == []
    as_written_before(str(Path.cwd()))
    shutil.move("mlruns", home / "a%b" / "mlruns")  # as MLflow read that address
    (said,) = launch("b")
    assert f"comes from {home / 'a%b'}" in said
    assert reports() == {"of a", "of b"}
    assert len(files(home / "a%b")) == 2


@pytest.mark.parametrize("who", ["sync", "dashboard"])
def test_sync_and_the_dashboard_follow_a_directory_too(who: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch("a")
    shutil.move(home / "first", home / "second")
    work_in(home / "second", monkeypatch)
    said: list[str] = []
    if who == "sync":
        assert sync("table", LAUNCH, [entry("a")], Records(), said.append) == Synced()
    else:
        said.append(follow(STORE))
    files_of_two = "the files of its 2 runs are read and written here from now on"
    assert said == [f"MLflow: mlflow.db comes from {home / 'first'}; {files_of_two}"]
    assert reports() == {"of a"}


def test_a_database_elsewhere_is_left_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch("a")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/first/mlflow.db")
    work_in(home / "second", monkeypatch)
    assert launch("b") == []
    assert reports() == {"of a", "of b"}
    assert {run.info.artifact_uri.split("/mlruns/")[0] for run in runs(MlflowClient())} == {f"file://{home}/first"}


def test_places_that_are_no_directories_of_this_machine_are_left_alone(home: Path) -> None:
    launch("a")
    for address in ("s3://bucket/mlruns/1", "mlflow-artifacts:/1", "file://server/share/mlruns/1", "/data/files"):
        connection = sqlite3.connect("mlflow.db")
        connection.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = 1", (address,))
        connection.commit()
        connection.close()
        assert follow(STORE) == ""
        experiment = MlflowClient().get_experiment_by_name("table")
        assert experiment
        assert experiment.artifact_location == address


@pytest.mark.parametrize("uri", [STORE, "sqlite:///{here}/mlflow.db"])
@pytest.mark.parametrize("what", ["a folder", "a pipe", "no database"])
def test_a_file_that_is_no_database_is_said_at_once_with_what_to_do(
    what: str, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow alone tries to open it for a hundred seconds, or waits at the pipe for good."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(here=tmp_path))
    file = tmp_path / "mlflow.db"
    made = {
        "a folder": file.mkdir,
        "a pipe": lambda: os.mkfifo(file),
        "no database": lambda: file.write_text("?" * 9000),
    }
    made[what]()
    monkeypatch.setattr("mta_lab.tracking.experiment.MlflowClient", pytest.fail)  # it is not asked
    with pytest.raises(UserError, match=r"mlflow\.db: .*move it away, and `mta-lab sync` fills a new one"):
        sync("table", LAUNCH, [], Records(), pytest.fail)


def test_a_database_that_another_process_holds_is_not_called_damaged(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mta_lab.tracking.place.WAIT", 0)
    with closing(sqlite3.connect("mlflow.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match="database is locked; another process holds it") as caught:
            sync("table", LAUNCH, [], Records(), pytest.fail)
    assert "damaged" not in str(caught.value)
    assert sync("table", LAUNCH, [], Records(), pytest.fail) == Synced()


def test_the_database_is_made_once_and_holds_the_addresses_of_this_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_in(home / "a b%20c", monkeypatch)
    make_whole(STORE)
    assert os.listdir() == ["mlflow.db"]
    written = Path("mlflow.db").read_bytes()
    make_whole(STORE)
    assert Path("mlflow.db").read_bytes() == written
    (default,) = MlflowClient(tracking_uri=STORE).search_experiments()
    assert default.artifact_location == str(Path("mlruns/0").absolute())


@pytest.mark.slow
@pytest.mark.parametrize("entries", [1, 8, 60])
def test_a_kill_while_the_database_is_made_leaves_none(
    entries: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow makes its tables one by one, more than sixty."""
    work_in(home / "here", monkeypatch)
    makes = f"from mta_lab.tracking.place import make_whole; make_whole({STORE!r})"
    with subprocess.Popen([sys.executable, "-P", "-c", makes]) as process:
        while not any(tables(file) >= entries for file in Path().glob("mlflow.db.*.tmp/mlflow.db")):
            assert process.poll() is None
        process.kill()
    assert not Path("mlflow.db").exists()
    make_whole(STORE)
    assert MlflowClient(tracking_uri=STORE).search_experiments()


def tables(file: Path) -> int:
    with suppress(sqlite3.Error), closing(sqlite3.connect(file)) as connection:
        (found,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()
        return int(found)
    return 0
