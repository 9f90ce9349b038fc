"""`sync`, and runs of other sweeps: what MLflow lacks of the records is entered, once."""

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from mta_lab.config import flatten, plain
from mta_lab.results.records import Records
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.tracking.sync import Synced, sync
from mta_lab.tracking.tracker import Tracker
from mta_lab.tracking.view import VIEW_TAG, view
from tests.tracking.launches import (
    LAUNCH,
    PARENTS,
    RUNS,
    TAGS,
    config,
    entry,
    failed,
    finished,
    runs,
    states,
    wait_for,
)


def test_a_run_of_another_sweep_is_entered_once_with_its_curves(store: Path) -> None:
    records = Records()
    records.finish(finished("f"))
    for _ in range(2):
        tracker = Tracker("table", records, pytest.fail)
        tracker.start(LAUNCH)
        tracker.enter_later([entry("f")])
        tracker.end("FINISHED", LaunchSummary(""))
    assert sync("table", LAUNCH, [entry("f")], records, pytest.fail) == Synced()
    client = MlflowClient()
    (run,) = runs(client, "tags.fingerprint = 'f'")
    assert run.info.status == "FINISHED"
    assert run.data.params["attention.name"] == "softmax"
    assert [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, "val/perplexity")] == [
        (10, 21.0),
        (20, 11.0),
    ]
    assert run.data.tags["implementation"] == "eager + sdpa"
    assert run.data.metrics["val/perplexity/c4"] == 12.0
    assert run.data.metrics["tokens_per_second"] == 1000.0


def test_an_entered_run_carries_the_times_and_the_origin_of_its_record(store: Path) -> None:
    origin = {"commit": "0123", "machine": "a machine", "threads": 1, "torch": "2"}
    provenance = {"finished": "2026-01-02T03:04:05+00:00", **origin}
    long = [[step, 5.0] for step in range(1, 2502)]  # more points than MLflow takes at once
    Records().finish(replace(finished("f"), provenance=provenance, losses=long))
    sync("table", LAUNCH, [entry("f")], Records(), pytest.fail)
    client = MlflowClient()
    (run,) = runs(client, RUNS)
    assert run.info.end_time == 1767323045000
    assert run.info.end_time - run.info.start_time == 4000
    assert run.data.tags.items() >= {"commit": "0123", "machine": "a machine"}.items()
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 2501


def test_a_failed_run_is_entered_once_for_each_reason(store: Path, tmp_path: Path) -> None:
    records = Records()
    for reason in ("first", "first", "second"):
        records.fail(failed("f", reason))
        sync("table", LAUNCH, [entry("f")], records, pytest.fail)
    found = runs(MlflowClient(), RUNS)
    assert sorted(run.data.tags["reason"] for run in found) == ["first", "second"]
    assert {run.info.status for run in found} == {"FAILED"}
    traceback = MlflowClient().download_artifacts(found[0].info.run_id, "traceback.txt", str(tmp_path))
    assert Path(traceback).read_text() == "Traceback: boom"


def test_runs_that_a_dead_launch_left_open_are_closed_and_those_of_others_are_not(store: Path) -> None:
    here, elsewhere = Records(), Records(store / "elsewhere")
    for records, names in ((here, "ab"), (elsewhere, "c")):
        dead = Tracker("table", records, pytest.fail)
        dead.start(LAUNCH)
        for fingerprint in names:
            dead.start_run(entry(fingerprint))
        wait_for(lambda dead=dead, names=names: all(dead.run_id(fingerprint) for fingerprint in names))
    here.finish(replace(finished("a"), config=plain(config("softmax"))))  # and died before it told MLflow
    done = sync("table", LAUNCH, [], here, pytest.fail)
    assert done == Synced(finished=1, failed=0, closed=3)
    assert states("a") == ["FINISHED", "KILLED"]
    assert states("b") == ["KILLED"]
    assert states("c") == ["RUNNING"]
    assert sync("table", LAUNCH, [], here, pytest.fail) == Synced()


def test_a_fault_in_the_table_is_not_blamed_on_mlflow(store: Path) -> None:
    Records().finish(finished("f"))

    def shown() -> LaunchSummary:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sync("table", LAUNCH, [entry("f")], Records(), pytest.fail, shown)
    assert sync("table", LAUNCH, [entry("f")], Records(), pytest.fail) == Synced(closed=1), "the open parent"


def test_a_sync_without_anything_to_enter_creates_no_experiment(store: Path) -> None:
    assert sync("table", LAUNCH, [entry("a")], Records(), pytest.fail) == Synced()
    assert MlflowClient().get_experiment_by_name("table") is None


def test_a_sync_gives_an_experiment_its_view_and_one_parent(store: Path) -> None:
    records, made = Records(), []

    def shown() -> LaunchSummary:
        made.append("shown")
        return LaunchSummary("| row |", {"mta": {"mean": 11.0}}, lambda: {"table.json": "{}"})

    for fingerprint in "ab":
        records.finish(finished(fingerprint))
    for expected in (Synced(finished=2), Synced()):
        assert sync("table", LAUNCH, [entry(f) for f in "ab"], records, pytest.fail, shown) == expected
        client = MlflowClient()
        (parent,) = runs(client, PARENTS)
        assert (parent.info.status, parent.data.tags["scale"]) == ("FINISHED", "nano")
        assert (parent.data.tags[MLFLOW_RUN_NOTE], parent.data.metrics) == ("| row |", {"mean/mta": 11.0})
        assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["table.json"]
        below = [run.data.tags[MLFLOW_PARENT_RUN_ID] for run in runs(client, RUNS)]
        assert below == [parent.info.run_id] * 2
        assert made == ["shown"]
        (experiment,) = (found for found in client.search_experiments() if found.name == "table")
        assert experiment.tags[VIEW_TAG] == view("table", LAUNCH.metric, LAUNCH.params)
        client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, "of an earlier version")  # the second call's


def test_every_setting_is_a_param_and_the_text_a_data_set(store: Path) -> None:
    records = Records()
    records.finish(finished("a"))
    shown = replace(entry("a", "multi_token"), tags={**TAGS, "data": "0f" * 20})
    sync("table", LAUNCH, [shown], records, pytest.fail)
    (run,) = runs(MlflowClient(), RUNS)
    assert set(run.data.params) == set(flatten(config("multi_token")))
    assert [file.path for file in MlflowClient().list_artifacts(run.info.run_id)] == ["config.yaml"]
    (read,) = run.inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == ("packages", "0f" * 8)
