"""The run of a launch and the view of its experiment."""

import base64
import json
import threading
import zlib
from pathlib import Path

import pytest
from mlflow import MlflowClient

from components.metrics import ERROR_RATE, PERPLEXITY
from mta_lab.results.records import Records
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.tracking.tracker import Tracker
from mta_lab.tracking.view import addresses, view
from tests.tracking.launches import LAUNCH, PARENTS, entry, runs, wait_for


def test_rows_that_mlflow_refuses_as_they_are_stay_apart(store: Path) -> None:
    rows = ["c_q 4, c_k 9", "c_q 4 c_k 9", "1x1", "1X1", "%", "/", "..", "", "x1/2", "é + ö", "a" * 300, "a" * 301]
    tracker = Tracker("table", Records(), pytest.fail)
    tracker.start(LAUNCH)
    tracker.end("FINISHED", LaunchSummary("", {row: {"mean": float(place)} for place, row in enumerate(rows)}))
    (run,) = runs(MlflowClient())
    kept = dict(run.data.metrics)
    assert sorted(kept.values()) == [float(place) for place in range(len(rows))]
    assert (kept["mean/c_q 4:2C c_k 9"], kept["mean/1x1"], kept["mean/x1/2"]) == (0, 2, 8)
    assert len({name.lower() for name in kept}) == len(rows)


def test_the_parent_tells_what_the_machine_does_until_it_ends(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    before = set(threading.enumerate())
    tracker = Tracker("table", Records(), pytest.fail)
    tracker.start(LAUNCH)
    tracker.start_run(entry("a"))
    wait_for(lambda: bool(tracker.run_id("a")))

    def said() -> set[str]:
        (parent,) = runs(MlflowClient(), PARENTS)
        return set(parent.data.metrics)

    wait_for(lambda: {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= said())
    (monitor,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "SystemMetricsMonitor")
    tracker.kill_run("a")
    tracker.end("FINISHED", LaunchSummary())
    assert not monitor.is_alive()
    assert not runs(MlflowClient(), "attributes.status = 'RUNNING'")


def test_a_launch_keeps_its_files_and_a_view_that_is_found(store: Path) -> None:
    said: list[str] = []
    tracker = Tracker("table", Records(), said.append)
    tracker.start(LAUNCH._replace(metric=ERROR_RATE))
    files = {"report.html": "<p>", "figures/forest.svg": "<svg/>"}
    tracker.end("FINISHED", LaunchSummary("| row |", files=lambda: files))
    assert said == []
    (run,) = runs(MlflowClient())
    assert [file.path for file in MlflowClient().list_artifacts(run.info.run_id)] == ["figures", "report.html"]
    ((name, where),) = addresses(MlflowClient().tracking_uri, "http://here")
    assert (name, where.split("/runs")[0]) == ("table", f"http://here/#/experiments/{run.info.experiment_id}")


def test_an_experiment_has_a_view_of_its_runs_by_row() -> None:
    envelope = json.loads(view("table", PERPLEXITY, ("attention.norm.name", "seed")))
    assert envelope["name"] == "table: perplexity by row"
    state = json.loads(zlib.decompress(base64.b64decode(envelope["state"].removeprefix("deflate;"))))
    assert [chart["type"] for chart in state["compareRunCharts"]] == ["BAR", "LINE", "SCATTER", "LINE"]
    assert {"params.`attention.norm.name`", "tags.`row`", "metrics.`val/perplexity`"} <= set(state["selectedColumns"])


def test_a_launch_whose_figures_fail_is_closed_all_the_same(store: Path) -> None:
    def files() -> dict[str, str]:
        raise ZeroDivisionError

    tracker = Tracker("table", Records(), pytest.fail)
    tracker.start(LAUNCH)
    with pytest.raises(ZeroDivisionError):
        tracker.end("FINISHED", LaunchSummary("| row |", files=files))
    (run,) = runs(MlflowClient())
    assert (run.info.status, run.data.tags["mlflow.note.content"]) == ("FINISHED", "| row |")
