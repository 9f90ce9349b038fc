import base64
import json
import socket
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from mta_lab.config import Layer, RunConfig, flatten, plain, resolve, scale_layer
from mta_lab.records import Failure, Record, Records
from mta_lab.tracking.entries import Entry, Launch, Shown
from mta_lab.tracking.sync import Synced, sync
from mta_lab.tracking.tracker import Tracker
from mta_lab.tracking.view import VIEW_TAG, addresses, view
from mta_lab.training import Progress, Validation

TAGS = {"sweep": "table", "row": "mta", "seed": "0"}
LAUNCH = Launch("table nano", {"sweep": "table", "scale": "nano"}, params=("attention.norm.name", "seed"))
CELLS, PARENTS = "tags.fingerprint LIKE '%'", "attributes.run_name = 'table nano'"


@pytest.fixture(scope="module", autouse=True)
def patient() -> Iterator[None]:
    """A launch's end waits for a store that is only slow: on a busy machine its creation takes a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mta_lab.tracking.tracker.PATIENCE", 500.0)
        yield


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


def entry(fingerprint: str, attention: str = "softmax") -> Entry:
    tags = {**TAGS, "row": attention}
    return Entry(fingerprint=fingerprint, name=f"{attention} {fingerprint}", config=config(attention), tags=tags)


def failed(fingerprint: str, reason: str = "RuntimeError: boom") -> Failure:
    return Failure(fingerprint=fingerprint, label="a row", reason=reason, traceback="Traceback: boom")


def ended_launch(said: list[str]) -> Tracker:
    """A launch of four cells: one finished, one failed, one interrupted, one baseline."""
    records = Records(Path("results"))
    tracker = Tracker("table", records, said.append)
    tracker.start(LAUNCH)
    for fingerprint, attention in zip("abcd", ("multi_token", "softmax", "softmax", "softmax"), strict=True):
        tracker.start_cell(entry(fingerprint, attention))
    for step in (5, 10, 15, 20):
        tracker.progress("a", Progress(step=step, loss=6.0 - step / 10))
        if step % 10 == 0:
            tracker.progress("a", validation(step, 30.0 - step, 32.0 - step))
    tracker.progress("b", Progress(step=5, loss=7.0))  # not yet written when the cell fails
    end(tracker, records, finished("a"))
    end(tracker, records, failed("b"))
    tracker.kill_cell("c")
    end(tracker, records, finished("d"))
    tracker.end("FAILED", Shown("| row | mean |"))
    return tracker


def end(tracker: Tracker, records: Records, result: Record | Failure) -> None:
    """End a cell as a launch does: the records first."""
    if isinstance(result, Record):
        records.finish(result)
        tracker.end_cell(result)
    else:
        records.fail(result)
        tracker.fail_cell(result)


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory, patient: None) -> "tuple[MlflowClient, Tracker]":
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
    launch: "tuple[MlflowClient, Tracker]", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client, _ = launch
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    second = Tracker("table", Records(tmp_path), pytest.fail)
    second.start(Launch("again", {}))
    second.end("FINISHED", Shown(""))
    assert [run.info.run_name for run in runs(client, "attributes.run_name = 'again'")] == ["again"]
    assert len([e for e in client.search_experiments() if e.name == "table"]) == 1


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


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory with the default store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


def hide_tables(folder: Path, *, back: bool = False) -> None:
    """Take the tables away under a tracker that writes to them, or put them back."""
    connection = sqlite3.connect(folder / "mlflow.db")
    for table in ("metrics", "latest_metrics", "tags"):
        names = (f"{table}_away", table) if back else (table, f"{table}_away")
        connection.execute("ALTER TABLE {} RENAME TO {}".format(*names))
    connection.commit()
    connection.close()


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.05)


def states(fingerprint: str) -> list[str]:
    return sorted(run.info.status for run in runs(MlflowClient(), f"tags.fingerprint = '{fingerprint}'"))


@pytest.mark.parametrize("returns", ["while it goes on", "at its end", "later"])
def test_what_a_broken_store_missed_is_entered_when_it_is_back(
    returns: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mta_lab.tracking.tracker.PAUSE", 0.2 if returns == "while it goes on" else 60)
    said: list[str] = []
    records = Records()
    tracker = Tracker("table", records, said.append)
    tracker.start(LAUNCH)
    tracker.start_cell(entry("a"))
    tracker.start_cell(entry("c"))
    wait_for(lambda: bool(tracker.run_id("a") and tracker.run_id("c")))
    hide_tables(store)
    tracker.progress("a", validation(10, 3.0, 4.0))
    wait_for(lambda: bool(said))
    end(tracker, records, finished("a"))
    tracker.start_cell(entry("b"))
    end(tracker, records, failed("b"))
    if returns == "while it goes on":
        hide_tables(store, back=True)
        wait_for(lambda: states("a") == ["FINISHED", "KILLED"] and states("b") == ["FAILED"])
    end(tracker, records, finished("c"))
    if returns == "at its end":
        hide_tables(store, back=True)
    tracker.end("FAILED", Shown(""))
    if returns == "later":
        complained_once(said)
        hide_tables(store, back=True)
        done = sync("table", LAUNCH, [entry(f) for f in "abc"], records)
        assert (done.finished, done.failed) == (2, 1)
    else:
        assert len(said) == 1
    assert states("a") == ["FINISHED", "KILLED"]
    assert states("b") == ["FAILED"]
    assert [state for state in states("c") if state != "KILLED"] == ["FINISHED"]
    assert sync("table", LAUNCH, [entry(f) for f in "abc"], records) == Synced()
    assert not runs(MlflowClient(), "attributes.status = 'RUNNING'")


def test_what_does_not_fit_the_queue_is_entered_from_the_records(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta_lab.tracking.tracker.QUEUE", 3)
    records = Records()
    tracker = Tracker("table", records, pytest.fail)
    tracker.start(LAUNCH)
    for fingerprint in "abcdef":  # quicker than a store is created
        tracker.start_cell(entry(fingerprint))
        end(tracker, records, finished(fingerprint))
    tracker.end("FINISHED", Shown(""))
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


def test_a_cell_of_another_sweep_is_entered_once_with_its_curves(store: Path) -> None:
    records = Records()
    records.finish(finished("f"))
    for _ in range(2):
        tracker = Tracker("table", records, pytest.fail)
        tracker.start(LAUNCH)
        tracker.deliver([entry("f")])
        tracker.end("FINISHED", Shown(""))
    assert sync("table", LAUNCH, [entry("f")], records) == Synced()
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


def test_an_entered_cell_carries_the_times_and_the_origin_of_its_record(store: Path) -> None:
    provenance = {"finished": "2026-01-02T03:04:05+00:00", "commit": "0123", "machine": "a machine"}
    long = [[step, 5.0] for step in range(1, 2502)]  # more points than MLflow takes at once
    Records().finish(replace(finished("f"), provenance=provenance, losses=long))
    sync("table", LAUNCH, [entry("f")], Records())
    client = MlflowClient()
    (run,) = runs(client, CELLS)
    assert run.info.end_time == 1767323045000
    assert run.info.end_time - run.info.start_time == 4000
    assert run.data.tags.items() >= {"commit": "0123", "machine": "a machine"}.items()
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 2501


def test_a_failed_cell_is_entered_once_for_each_reason(store: Path, tmp_path: Path) -> None:
    records = Records()
    for reason in ("first", "first", "second"):
        records.fail(failed("f", reason))
        sync("table", LAUNCH, [entry("f")], records)
    found = runs(MlflowClient(), CELLS)
    assert sorted(run.data.tags["reason"] for run in found) == ["first", "second"]
    assert {run.info.status for run in found} == {"FAILED"}
    traceback = MlflowClient().download_artifacts(found[0].info.run_id, "traceback.txt", str(tmp_path))
    assert Path(traceback).read_text() == "Traceback: boom"


def test_runs_that_a_dead_launch_left_open_are_closed_and_those_of_others_are_not(store: Path) -> None:
    here, elsewhere = Records(), Records(store / "elsewhere")
    for records, cells in ((here, "ab"), (elsewhere, "c")):
        dead = Tracker("table", records, pytest.fail)
        dead.start(LAUNCH)
        for fingerprint in cells:
            dead.start_cell(entry(fingerprint))
        wait_for(lambda dead=dead, cells=cells: all(dead.run_id(fingerprint) for fingerprint in cells))
    here.finish(replace(finished("a"), config=plain(config("softmax"))))  # and died before it told MLflow
    done = sync("table", LAUNCH, [], here)
    assert done == Synced(finished=1, failed=0, closed=3)
    assert states("a") == ["FINISHED", "KILLED"]
    assert states("b") == ["KILLED"]
    assert states("c") == ["RUNNING"]
    assert sync("table", LAUNCH, [], here) == Synced()


def test_the_next_launch_closes_what_a_dead_one_left_open(store: Path) -> None:
    dead = Tracker("table", Records(), pytest.fail)
    dead.start(LAUNCH)
    dead.start_cell(entry("a"))
    wait_for(lambda: bool(dead.run_id("a")))
    tracker = Tracker("table", Records(), pytest.fail)
    tracker.start(LAUNCH)
    tracker.deliver([entry("a")])
    tracker.start_cell(entry("a"))
    end(tracker, Records(), finished("a"))
    tracker.end("FINISHED", Shown(""))
    assert states("a") == ["FINISHED", "KILLED"]


def test_a_sync_without_anything_to_enter_creates_no_experiment(store: Path) -> None:
    assert sync("table", LAUNCH, [entry("a")], Records()) == Synced()
    assert MlflowClient().get_experiment_by_name("table") is None


def test_a_sync_gives_an_experiment_its_view_and_one_parent(store: Path) -> None:
    records, made = Records(), []

    def shown() -> Shown:
        made.append("shown")
        return Shown("| row |", {"mta": {"mean": 11.0}}, lambda: {"table.json": "{}"})

    for fingerprint in "ab":
        records.finish(finished(fingerprint))
    for expected in (Synced(finished=2), Synced()):
        assert sync("table", LAUNCH, [entry(f) for f in "ab"], records, shown) == expected
        client = MlflowClient()
        (parent,) = runs(client, PARENTS)
        assert (parent.info.status, parent.data.tags["scale"]) == ("FINISHED", "nano")
        assert (parent.data.tags[MLFLOW_RUN_NOTE], parent.data.metrics) == ("| row |", {"mean/mta": 11.0})
        assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["table.json"]
        below = [run.data.tags[MLFLOW_PARENT_RUN_ID] for run in runs(client, CELLS)]
        assert below == [parent.info.run_id] * 2
        assert made == ["shown"]
        (experiment,) = (found for found in client.search_experiments() if found.name == "table")
        assert experiment.tags[VIEW_TAG] == view("table", LAUNCH.quantity, LAUNCH.params)
        client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, "of an earlier version")  # the second call's


def test_rows_that_mlflow_refuses_as_they_are_stay_apart(store: Path) -> None:
    rows = ["c_q 4, c_k 9", "c_q 4 c_k 9", "1x1", "1X1", "%", "/", "..", "", "x1/2", "é + ö", "a" * 300, "a" * 301]
    tracker = Tracker("table", Records(), pytest.fail)
    tracker.start(LAUNCH)
    tracker.end("FINISHED", Shown("", {row: {"mean": float(place)} for place, row in enumerate(rows)}))
    (run,) = runs(MlflowClient())
    kept = dict(run.data.metrics)
    assert sorted(kept.values()) == [float(place) for place in range(len(rows))]
    assert (kept["mean/c_q 4 c_k 9"], kept["mean/1x1"], kept["mean/x1-2"]) == (0, 2, 8)
    assert len({name.lower() for name in kept}) == len(rows)


def test_the_parent_tells_what_the_machine_does_until_it_ends(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    before = set(threading.enumerate())
    tracker = Tracker("table", Records(), pytest.fail)
    tracker.start(LAUNCH)
    tracker.start_cell(entry("a"))
    wait_for(lambda: bool(tracker.run_id("a")))

    def said() -> set[str]:
        (parent,) = runs(MlflowClient(), PARENTS)
        return set(parent.data.metrics)

    wait_for(lambda: {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= said())
    (monitor,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "SystemMetricsMonitor")
    tracker.kill_cell("a")
    tracker.end("FINISHED", Shown())
    assert not monitor.is_alive()
    assert not runs(MlflowClient(), "attributes.status = 'RUNNING'")


def test_only_what_sets_the_runs_apart_is_a_param_and_the_rest_is_kept(store: Path) -> None:
    records = Records()
    records.finish(finished("a"))
    shown = replace(entry("a", "multi_token"), params=("attention.norm.name", "seed"), tags={**TAGS, "data": "0f" * 20})
    sync("table", LAUNCH, [shown], records)
    (run,) = runs(MlflowClient(), CELLS)
    assert set(run.data.params) == {"attention.norm.name", "seed"}
    assert [file.path for file in MlflowClient().list_artifacts(run.info.run_id)] == ["config.yaml"]
    (read,) = run.inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == ("packages", "0f" * 8)


def test_an_experiment_has_a_view_of_its_runs_by_row() -> None:
    envelope = json.loads(view("table", "perplexity", ("attention.norm.name", "seed")))
    assert envelope["name"] == "table: perplexity by row"
    state = json.loads(zlib.decompress(base64.b64decode(envelope["state"].removeprefix("deflate;"))))
    assert [chart["type"] for chart in state["compareRunCharts"]] == ["BAR", "LINE", "SCATTER", "LINE"]
    assert {"params.`attention.norm.name`", "tags.`row`", "metrics.`val/perplexity`"} <= set(state["selectedColumns"])


def test_a_launch_keeps_its_files_and_a_view_that_is_found(store: Path) -> None:
    said: list[str] = []
    tracker = Tracker("table", Records(), said.append)
    tracker.start(LAUNCH._replace(quantity="error_rate"))
    files = {"report.html": "<p>", "figures/forest.svg": "<svg/>"}
    tracker.end("FINISHED", Shown("| row |", files=lambda: files))
    assert said == []
    (run,) = runs(MlflowClient())
    assert [file.path for file in MlflowClient().list_artifacts(run.info.run_id)] == ["figures", "report.html"]
    ((name, where),) = addresses(MlflowClient().tracking_uri, "http://here")
    assert (name, where.split("/runs")[0]) == ("table", f"http://here/#/experiments/{run.info.experiment_id}")
