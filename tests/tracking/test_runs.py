"""A launch as MLflow shows it: a run of its own, and below it one for each of its runs."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from mta_lab.config import flatten, plain, read_yaml
from mta_lab.results.records import Records
from mta_lab.tracking.entries import Launch, LaunchSummary
from mta_lab.tracking.tracker import Tracker
from tests.tracking.launches import TAGS, config, ended_launch, runs


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> "tuple[MlflowClient, Tracker]":
    """A launch that has ended, in a store of its own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("mlflow")
        patch.chdir(folder)
        shutil.copy(empty_database, folder)
        uri = f"sqlite:///{folder}/mlflow.db"
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        said: list[str] = []
        tracker = ended_launch(said)
        assert said == []
        return MlflowClient(tracking_uri=uri), tracker


def run_of(launch: "tuple[MlflowClient, Tracker]", fingerprint: str) -> Run:
    client, tracker = launch
    return client.get_run(tracker.run_id(fingerprint))


def test_a_sweep_is_an_experiment_with_a_parent_and_its_runs(launch: "tuple[MlflowClient, Tracker]") -> None:
    client, _ = launch
    found = runs(client)
    (parent,) = (run for run in found if MLFLOW_PARENT_RUN_ID not in run.data.tags)
    children = [run for run in found if run is not parent]
    assert len(children) == 4
    assert {run.data.tags[MLFLOW_PARENT_RUN_ID] for run in children} == {parent.info.run_id}
    assert parent.info.run_name == "table nano"
    assert parent.info.status == "FAILED"
    assert parent.data.tags[MLFLOW_RUN_NOTE] == "| row | mean |"
    assert parent.data.tags["sweep"] == "table"


def test_a_run_shows_its_settings_tags_and_configuration(
    launch: "tuple[MlflowClient, Tracker]", tmp_path: Path
) -> None:
    run = run_of(launch, "a")
    assert run.info.run_name == "multi_token a"
    assert run.data.tags.items() >= {**TAGS, "row": "multi_token", "fingerprint": "a"}.items()
    expected = flatten(config("multi_token"))
    assert set(run.data.params) == set(expected)
    assert run.data.params["attention.name"] == "multi_token"
    assert run.data.params["model.width"] == "64"
    assert run.data.params["attention.pre_softmax.0.name"] == "key_query"
    written = launch[0].download_artifacts(run.info.run_id, "config.yaml", str(tmp_path))
    assert read_yaml(Path(written), "its config") == plain(config("multi_token"))


def test_curves_have_a_point_at_each_step_reported(launch: "tuple[MlflowClient, Tracker]") -> None:
    client, tracker = launch

    def curve(key: str, fingerprint: str = "a") -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in client.get_metric_history(tracker.run_id(fingerprint), key)]

    assert curve("train/loss") == [(5, 5.5), (10, 5.0), (15, 4.5), (20, 4.0)]
    assert curve("val/perplexity/book") == [(10, 20.0), (20, 10.0)]
    assert curve("val/perplexity") == [(10, 21.0), (20, 11.0)]
    assert curve("train/loss", "b") == [(5, 7.0)]


def test_a_finished_run_says_what_it_cost_and_what_its_scores_are_over(launch: "tuple[MlflowClient, Tracker]") -> None:
    cost = {"seconds": 4.0, "training_seconds": 3.5, "tokens_per_second": 1000.0, "flops_per_token": 1.5e6}
    expected = {**cost, "parameters": 1234.0, "scored/book": 8192.0, "scored/c4": 4096.0}
    assert run_of(launch, "a").data.metrics.items() >= {**expected, "peak_memory": 123.0}.items()
    other = run_of(launch, "d").data.metrics
    assert other.items() >= expected.items()
    assert "peak_memory" not in other  # the system did not tell


def test_a_finished_run_says_what_computed_its_attention(launch: "tuple[MlflowClient, Tracker]") -> None:
    found = runs(launch[0], "tags.implementation = 'eager + sdpa'")
    assert sorted(run.data.tags["fingerprint"] for run in found) == ["a", "d"]


def test_runs_end_in_the_state_that_they_ended_in(launch: "tuple[MlflowClient, Tracker]", tmp_path: Path) -> None:
    states = {fingerprint: run_of(launch, fingerprint).info.status for fingerprint in "abcd"}
    assert states == {"a": "FINISHED", "b": "FAILED", "c": "KILLED", "d": "FINISHED"}
    assert all(run.info.end_time for run in runs(launch[0]))
    failed = run_of(launch, "b").info.run_id
    traceback = launch[0].download_artifacts(failed, "traceback.txt", str(tmp_path))
    assert Path(traceback).read_text() == "Traceback: boom"


def test_runs_are_found_by_a_setting(launch: "tuple[MlflowClient, Tracker]") -> None:
    found = runs(launch[0], "params.\"attention.name\" = 'multi_token'")
    assert [run.data.tags["fingerprint"] for run in found] == ["a"]
    assert len(runs(launch[0], "params.\"attention.name\" = 'softmax' and tags.seed = '0'")) == 3


def test_a_second_launch_goes_into_the_same_experiment(
    launch: "tuple[MlflowClient, Tracker]", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client, _ = launch
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    second = Tracker("table", Records(tmp_path), pytest.fail)
    second.start(Launch("again", {}))
    second.end("FINISHED", LaunchSummary(""))
    assert [run.info.run_name for run in runs(client, "attributes.run_name = 'again'")] == ["again"]
    assert len([e for e in client.search_experiments() if e.name == "table"]) == 1
