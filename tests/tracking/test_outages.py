"""MLflow is broken, away or slow: that is said once, and the rest is entered later."""

import socket
import sqlite3
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mta_lab.results.records import Records
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.tracking.sync import Synced, sync
from mta_lab.tracking.tracker import Tracker
from tests.tracking.launches import (
    LAUNCH,
    end,
    ended_launch,
    entry,
    failed,
    finished,
    runs,
    states,
    validation,
    wait_for,
)


def complained_once(said: list[str]) -> None:
    """One line of what failed, and at the end how to make up for it."""
    failure, hint = said
    assert "\n" not in failure
    assert "MLflow failed" in failure
    assert "mta-lab sync" in hint


@pytest.mark.parametrize("uri", ["sqlite:///taken/mlflow.db", "nonsense://store", "./mlruns"])
def test_a_store_that_cannot_be_opened_is_said_once(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file, where the store's directory would be")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    said: list[str] = []
    tracker = ended_launch(said)
    complained_once(said)
    assert tracker.run_id("a") == ""


def test_a_store_without_its_database_driver_is_said_once_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mssql://nobody:hunter2@127.0.0.1/none?token=hunter3")
    said: list[str] = []
    ended_launch(said)
    complained_once(said)
    assert "hunter" not in "".join([*said, *capfd.readouterr()])


def hide_tables(folder: Path, *, back: bool = False) -> None:
    """Take the tables away under a tracker that writes to them, or put them back."""
    connection = sqlite3.connect(folder / "mlflow.db")
    for table in ("metrics", "latest_metrics", "tags"):
        names = (f"{table}_away", table) if back else (table, f"{table}_away")
        connection.execute("ALTER TABLE {} RENAME TO {}".format(*names))
    connection.commit()
    connection.close()


@pytest.mark.parametrize("returns", ["while it goes on", "at its end", "later"])
def test_what_a_broken_store_missed_is_entered_when_it_is_back(
    returns: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mta_lab.tracking.tracker.PAUSE", 0.2 if returns == "while it goes on" else 60)
    said: list[str] = []
    records = Records()
    tracker = Tracker("table", records, said.append)
    tracker.start(LAUNCH)
    tracker.start_run(entry("a"))
    tracker.start_run(entry("c"))
    wait_for(lambda: bool(tracker.run_id("a") and tracker.run_id("c")))
    hide_tables(store)
    tracker.progress("a", validation(10, 3.0, 4.0))
    wait_for(lambda: bool(said))
    end(tracker, records, finished("a"))
    tracker.start_run(entry("b"))
    end(tracker, records, failed("b"))
    if returns == "while it goes on":
        hide_tables(store, back=True)
        wait_for(lambda: states("a") == ["FINISHED", "KILLED"] and states("b") == ["FAILED"])
    end(tracker, records, finished("c"))
    if returns == "at its end":
        hide_tables(store, back=True)
    tracker.end("FAILED", LaunchSummary(""))
    if returns == "later":
        complained_once(said)
        hide_tables(store, back=True)
        done = sync("table", LAUNCH, [entry(f) for f in "abc"], records, pytest.fail)
        assert (done.finished, done.failed) == (2, 1)
    else:
        assert len(said) == 1
    assert states("a") == ["FINISHED", "KILLED"]
    assert states("b") == ["FAILED"]
    assert [state for state in states("c") if state != "KILLED"] == ["FINISHED"]
    assert sync("table", LAUNCH, [entry(f) for f in "abc"], records, pytest.fail) == Synced()
    assert not runs(MlflowClient(), "attributes.status = 'RUNNING'")


def test_what_does_not_fit_the_queue_is_entered_from_the_records(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta_lab.tracking.tracker.QUEUE", 3)
    records = Records()
    tracker = Tracker("table", records, pytest.fail)
    tracker.start(LAUNCH)
    for fingerprint in "abcdef":  # quicker than a store is created
        tracker.start_run(entry(fingerprint))
        end(tracker, records, finished(fingerprint))
    tracker.end("FINISHED", LaunchSummary(""))
    for fingerprint in "abcdef":
        assert [state for state in states(fingerprint) if state != "KILLED"] == ["FINISHED"]


class Silent:
    """A server on loopback that accepts and never answers."""

    def __enter__(self) -> str:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def test_a_server_that_never_answers_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mta_lab.tracking.tracker.PATIENCE", 1.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "100")
    said: list[str] = []
    with Silent() as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        start = time.monotonic()
        ended_launch(said)
        took = time.monotonic() - start
        assert took < 100, "only the end of the launch waits, and only so long as it is told to"
        (hint,) = said  # its thread, which still waits, may say more once the server is gone
        assert "mta-lab sync" in hint


def test_the_next_launch_closes_what_a_dead_one_left_open(store: Path) -> None:
    dead = Tracker("table", Records(), pytest.fail)
    dead.start(LAUNCH)
    dead.start_run(entry("a"))
    wait_for(lambda: bool(dead.run_id("a")))
    tracker = Tracker("table", Records(), pytest.fail)
    tracker.start(LAUNCH)
    tracker.enter_later([entry("a")])
    tracker.start_run(entry("a"))
    end(tracker, Records(), finished("a"))
    tracker.end("FINISHED", LaunchSummary(""))
    assert states("a") == ["FINISHED", "KILLED"]


def test_a_run_that_is_tried_again_while_mlflow_is_away_is_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its first attempt is given up after its second began: the run stays live."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///away/mlflow.db")
    monkeypatch.setattr("mta_lab.tracking.tracker.PAUSE", 0.5)
    away = tmp_path / "away"
    away.write_text("a file, where the store's directory would be")
    records, said = Records(Path("results")), list[str]()
    tracker = Tracker("table", records, said.append)
    tracker.start(LAUNCH)
    tracker.start_run(entry("a"))
    tracker.kill_run("a", failure="killed")
    tracker.start_run(entry("a"))
    tracker.enter_later([entry("b")])  # entered as soon as MLflow answers, and behind what is left of the first attempt
    records.finish(finished("b"))
    wait_for(lambda: bool(said))
    away.unlink()
    away.mkdir()
    wait_for(lambda: (away / "mlflow.db").exists() and MlflowClient().get_experiment_by_name("table") is not None)
    wait_for(lambda: states("b") == ["FINISHED"])
    end(tracker, records, finished("a"))
    tracker.end("FINISHED", LaunchSummary("| row | mean |"))
    assert states("a") == ["FINISHED"]
