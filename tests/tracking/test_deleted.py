"""Anything deleted on MLflow's pages is restored or made anew; `sync` mends the rest."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from mta_lab.results.records import Records
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.tracking.sync import Synced, sync
from mta_lab.tracking.tracker import Tracker
from tests.tracking.launches import LAUNCH, PARENTS, RUNS, end, entry, finished, runs, states, validation, wait_for

RESTORED = "MLflow: experiment 'table' had been deleted; it is restored"
SHOWN = LaunchSummary("| row |")


def delete_experiment(*, for_good: bool) -> None:
    client = MlflowClient()
    found = runs(client)
    experiment = found[0].info.experiment_id
    client.delete_experiment(experiment)
    if for_good:  # as `mlflow gc` does
        for run in found:
            client._tracking_client.store._hard_delete_run(run.info.run_id)
        client._tracking_client.store._hard_delete_experiment(experiment)


def delete_run(query: str, *, for_good: bool = False) -> None:
    client = MlflowClient()
    (run,) = runs(client, query)
    client.delete_run(run.info.run_id)
    if for_good:
        client._tracking_client.store._hard_delete_run(run.info.run_id)


def launch(records: Records, names: str, meanwhile: Callable[[], None] = lambda: None) -> list[str]:
    """Launch `names`; `meanwhile` happens after the end of the first.

    All others run then. Returns what the launch says.
    """
    said: list[str] = []
    tracker = Tracker("table", records, said.append)
    tracker.start(LAUNCH)
    for fingerprint in names:
        tracker.start_run(entry(fingerprint))
    wait_for(lambda: all(tracker.run_id(fingerprint) for fingerprint in names))
    first, others = names[0], names[1:]
    end(tracker, records, finished(first))
    wait_for(lambda: states(first) == ["FINISHED"])
    meanwhile()
    for fingerprint in others:
        tracker.progress(fingerprint, validation(10, 3.0, 4.0))
        end(tracker, records, finished(fingerprint))
    tracker.end("FINISHED", SHOWN)
    return said


def synced(records: Records, names: str) -> tuple[Synced, list[str]]:
    said: list[str] = []
    return sync(
        "table", LAUNCH, [entry(fingerprint) for fingerprint in names], records, said.append, lambda: SHOWN
    ), said


def assert_whole(records: Records, names: str) -> None:
    """Check that each run is one finished run, below a launch's that is there, and all is whole."""
    assert synced(records, names) == (Synced(), [])
    parents = {run.info.run_id: run.data.tags["mlflow.note.content"] for run in runs(MlflowClient(), PARENTS)}
    assert set(parents.values()) == {"| row |"}
    for fingerprint in names:
        assert [state for state in states(fingerprint) if state != "KILLED"] == ["FINISHED"]
    ended = runs(MlflowClient(), f"{RUNS} AND attributes.status = 'FINISHED'")
    assert {run.data.tags[MLFLOW_PARENT_RUN_ID] for run in ended} <= set(parents)


def test_an_experiment_deleted_before_a_launch_is_restored(store: Path) -> None:
    records = Records()
    launch(records, "a")
    delete_experiment(for_good=False)
    assert launch(records, "bc") == [RESTORED]
    assert_whole(records, "abc")


def test_an_experiment_deleted_for_good_before_a_launch_is_made_anew(store: Path) -> None:
    records = Records()
    launch(records, "a")
    delete_experiment(for_good=True)
    assert launch(records, "bc") == []
    assert synced(records, "abc") == (Synced(finished=1), [])
    assert_whole(records, "abc")


@pytest.mark.parametrize("for_good", [False, True])
def test_an_experiment_deleted_in_the_middle_of_a_launch_is_there_at_its_end(
    for_good: bool, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mta_lab.tracking.tracker.PAUSE", 0.1)
    records = Records()
    failed, mended = launch(records, "abc", lambda: delete_experiment(for_good=for_good))
    assert failed.startswith("MLflow failed; the training goes on")
    assert mended.startswith("MLflow: experiment 'table' was deleted for good" if for_good else RESTORED)
    assert synced(records, "abc") == (Synced(finished=1 if for_good else 0), [])
    assert_whole(records, "abc")


@pytest.mark.parametrize("for_good", [False, True])
def test_an_experiment_deleted_before_sync_is_there_after_it(for_good: bool, store: Path) -> None:
    records = Records()
    launch(records, "ab")
    delete_experiment(for_good=for_good)
    assert synced(records, "ab") == ((Synced(finished=2), []) if for_good else (Synced(), [RESTORED]))
    assert_whole(records, "ab")


@pytest.mark.parametrize("for_good", [False, True])
def test_a_run_deleted_in_the_middle_of_a_launch_is_entered_anew(
    for_good: bool, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mta_lab.tracking.tracker.PAUSE", 0.1)
    records = Records()
    (said,) = launch(records, "abc", lambda: delete_run("tags.fingerprint = 'b'", for_good=for_good))
    assert said.startswith("MLflow failed; the training goes on")
    assert_whole(records, "abc")


def test_a_run_deleted_after_its_end_is_entered_anew_by_sync(store: Path) -> None:
    records = Records()
    launch(records, "ab")
    delete_run("tags.fingerprint = 'b'")
    assert synced(records, "ab") == (Synced(finished=1), [])
    assert_whole(records, "ab")


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("when", ["in the middle", "before sync"])
def test_the_run_of_a_launch_is_restored_or_made_anew(when: str, for_good: bool, store: Path) -> None:
    def delete() -> None:
        delete_run(PARENTS, for_good=for_good)

    records, launched = Records(), when == "before sync"
    said = launch(records, "ab") if launched else launch(records, "ab", delete)
    if launched:
        delete()
    said += synced(records, "ab")[1]
    became = "was deleted for good" if for_good else "had been deleted"
    assert said[0].startswith(f"MLflow: run 'table nano' {became}; ")
    assert_whole(records, "ab")
