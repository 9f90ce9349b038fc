import sqlite3
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from mta_lab.config import Layer, RunConfig, flatten, plain, resolve, scale_layer
from mta_lab.records import Record
from mta_lab.tracking import Tracker
from mta_lab.training import Progress, Validation

TAGS = {"sweep": "table", "row": "mta", "seed": "0", "fingerprint": "aaaa"}


def config(attention: str) -> RunConfig:
    settings = {"attention": attention, "model.width": 64, "training.steps": 20, "training.warmup_steps": 2}
    return resolve([scale_layer("nano"), Layer("test", settings)])


def validation(step: int, *perplexities: float) -> Progress:
    domains = dict(zip(("book", "c4"), perplexities, strict=True))
    return Progress(step=step, loss=1.0, validation=Validation(step=step, quantity="perplexity", domains=domains))


def finished(fingerprint: str) -> Record:
    return Record(
        fingerprint=fingerprint,
        config={},
        content_hash="text",
        parameters=1234,
        quantity="perplexity",
        score=11.0,
        domains={"book": 10.0, "c4": 12.0},
        tokens_per_second=1000.0,
        seconds=4.0,
        losses=[[10, 5.0], [20, 4.0]],
        validations=[[10, 21.0], [20, 11.0]],
        run_id="",
        provenance={},
        implementations={"eager": "set by impl: eager", "sdpa": "no operation on the map"},
        scored={"book": 8192, "c4": 4096},
        training_seconds=3.5,
        peak_memory=123 if fingerprint == "a" else None,
        flops_per_token=1.5e6,
    )


def ended_launch(said: list[str]) -> Tracker:
    """A launch of four cells: one finished, one failed, one interrupted, one baseline."""
    tracker = Tracker("table", said.append)
    tracker.start("table nano", {"sweep": "table", "scale": "nano"})
    for fingerprint, attention in zip("abcd", ("multi_token", "softmax", "softmax", "softmax"), strict=True):
        tags = {**TAGS, "row": attention, "fingerprint": fingerprint}
        tracker.start_cell(fingerprint, f"{attention} {fingerprint}", config(attention), tags)
    for step in (5, 10, 15, 20):
        tracker.progress("a", Progress(step=step, loss=6.0 - step / 10))
        if step % 10 == 0:
            tracker.progress("a", validation(step, 30.0 - step, 32.0 - step))
    tracker.progress("b", Progress(step=5, loss=7.0))  # not yet written when the cell fails
    tracker.end_cell(finished("a"))
    tracker.fail_cell("b", "FAILED", "Traceback: boom")
    tracker.fail_cell("c", "KILLED", "interrupted")
    tracker.end_cell(finished("d"))
    tracker.end("FAILED", "| row | mean |")
    return tracker


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> "tuple[MlflowClient, Tracker]":
    """A launch that has ended, in a store of its own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("mlflow")
        patch.chdir(folder)
        uri = f"sqlite:///{folder}/mlflow.db"
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        said: list[str] = []
        tracker = ended_launch(said)
        assert said == []
        return MlflowClient(tracking_uri=uri), tracker


def runs(client: MlflowClient, query: str = "") -> list[Run]:
    experiment = client.get_experiment_by_name("table")
    return list(client.search_runs([experiment.experiment_id], query))


def run_of(launch: "tuple[MlflowClient, Tracker]", fingerprint: str) -> Run:
    client, tracker = launch
    return client.get_run(tracker.run_id(fingerprint))


def test_a_sweep_is_an_experiment_with_a_parent_and_its_cells(launch: "tuple[MlflowClient, Tracker]") -> None:
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


def test_a_cell_shows_its_settings_tags_and_configuration(
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
    assert yaml.safe_load(Path(written).read_text()) == plain(config("multi_token"))


def test_curves_have_a_point_at_each_step_reported(launch: "tuple[MlflowClient, Tracker]") -> None:
    client, tracker = launch

    def curve(key: str, fingerprint: str = "a") -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in client.get_metric_history(tracker.run_id(fingerprint), key)]

    assert curve("train/loss") == [(5, 5.5), (10, 5.0), (15, 4.5), (20, 4.0)]
    assert curve("val/perplexity/book") == [(10, 20.0), (20, 10.0)]
    assert curve("val/perplexity") == [(10, 21.0), (20, 11.0)]
    assert curve("train/loss", "b") == [(5, 7.0)]


def test_a_finished_cell_says_what_it_cost_and_what_its_scores_are_over(launch: "tuple[MlflowClient, Tracker]") -> None:
    cost = {"seconds": 4.0, "training_seconds": 3.5, "tokens_per_second": 1000.0, "flops_per_token": 1.5e6}
    expected = {**cost, "parameters": 1234.0, "scored/book": 8192.0, "scored/c4": 4096.0}
    assert run_of(launch, "a").data.metrics.items() >= {**expected, "peak_memory": 123.0}.items()
    other = run_of(launch, "d").data.metrics
    assert other.items() >= expected.items()
    assert "peak_memory" not in other  # the system did not tell


def test_a_finished_cell_says_what_computed_its_attention(launch: "tuple[MlflowClient, Tracker]") -> None:
    found = runs(launch[0], "tags.implementation = 'eager + sdpa'")
    assert sorted(run.data.tags["fingerprint"] for run in found) == ["a", "d"]


def test_cells_end_in_the_state_that_they_ended_in(launch: "tuple[MlflowClient, Tracker]", tmp_path: Path) -> None:
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
    launch: "tuple[MlflowClient, Tracker]", monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = launch
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    second = Tracker("table", pytest.fail)
    second.start("again", {})
    second.end("FINISHED", "")
    assert [run.info.run_name for run in runs(client, "attributes.run_name = 'again'")] == ["again"]
    assert len([e for e in client.search_experiments() if e.name == "table"]) == 1


@pytest.mark.parametrize("uri", ["sqlite:///taken/mlflow.db", "nonsense://store", "./mlruns"])
def test_a_store_that_cannot_be_opened_is_said_once(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file, where the store's directory would be")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    said: list[str] = []
    tracker = ended_launch(said)
    assert len(said) == 1
    assert "\n" not in said[0]
    assert "MLflow" in said[0]
    assert tracker.run_id("a") == ""


def test_a_store_without_its_database_driver_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mssql://nobody@127.0.0.1/none")
    said: list[str] = []
    ended_launch(said)
    assert len(said) == 1


def break_store(folder: Path) -> None:
    """Drop the tables under a tracker that writes to them."""
    connection = sqlite3.connect(folder / "mlflow.db")
    for table in ("metrics", "latest_metrics", "tags"):
        connection.execute(f"DROP TABLE {table}")
    connection.commit()
    connection.close()


def test_a_store_that_breaks_in_the_middle_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    said: list[str] = []
    tracker = Tracker("table", said.append)
    tracker.start("table nano", {})
    tracker.start_cell("a", "cell", config("softmax"), TAGS)
    break_store(tmp_path)
    tracker.progress("a", Progress(step=1, loss=2.0))
    tracker.end_cell(finished("a"))
    tracker.start_cell("b", "cell", config("softmax"), TAGS)
    tracker.progress("b", validation(10, 3.0, 4.0))
    tracker.fail_cell("b", "FAILED", "boom")
    tracker.end("FAILED", "")
    assert len(said) == 1


def test_a_cell_of_another_sweep_is_entered_once_with_its_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    said: list[str] = []
    for _ in range(2):
        tracker = Tracker("table", said.append)
        tracker.start("table nano", {})
        tracker.adopt(finished("f"), "softmax seed 0", config("softmax"), {**TAGS, "fingerprint": "f"})
    assert said == []
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
