import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mta_lab.children import python
from tests.decoys import leave_decoys, names
from tests.launch.sweeps import write_sweep

COMMAND = python("-m", "mta_lab")
pytestmark = pytest.mark.real


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_up(server: subprocess.Popen[bytes], address: str) -> None:
    for _ in range(240):
        assert server.poll() is None, "the dashboard ended by itself"
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    pytest.fail("the dashboard does not answer")


def environment() -> dict[str, str]:
    """Without a tracking store of the user's: the default one is under test."""
    return {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a sweep of two rows has run, among files that must not."""
    folder = tmp_path_factory.mktemp("user")
    leave_decoys(folder, names())
    rows = {"plain": {"attention": "softmax"}, "talking": {"attention": "talking_heads"}}
    write_sweep(folder / "heads.yaml", rows, seeds=2, data={"corpus": "stdlib"})
    command = [*COMMAND, "sweep", "heads.yaml", "--workers", "2"]
    subprocess.run(command, cwd=folder, env=environment(), check=True, timeout=180)
    return folder


@pytest.fixture(scope="module")
def address(swept: Path) -> Iterator[str]:
    port = free_port()
    command = [*COMMAND, "dashboard", "--port", str(port)]
    server = subprocess.Popen(command, cwd=swept, env=environment(), start_new_session=True)
    try:
        wait_until_up(server, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
        os.killpg(server.pid, signal.SIGINT)  # Ctrl-C
        assert server.wait(timeout=30) == 0
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def search_runs(address: str, experiment: str, query: str = "") -> list[dict[str, Any]]:
    body = {"experiment_ids": [experiment], "filter": query, "max_results": 100}
    runs: list[dict[str, Any]] = ask(f"{address}/api/2.0/mlflow/runs/search", body).get("runs", [])
    return runs


def tags(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def test_the_page_is_served(address: str) -> None:
    with urllib.request.urlopen(address, timeout=20) as answer:
        assert answer.status == 200
        assert "MLflow" in answer.read().decode()


def test_no_file_of_the_folder_runs(address: str, swept: Path) -> None:
    assert not (swept / "ran.txt").exists(), (swept / "ran.txt").read_text()


def test_the_sweep_is_found_with_its_parent_and_children(address: str) -> None:
    url = f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=heads-nano"
    experiment = ask(url)["experiment"]["experiment_id"]
    runs = search_runs(address, experiment)
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in tags(run))
    children = [run for run in runs if run is not parent]
    assert {tags(run)["mlflow.parentRunId"] for run in children} == {parent["info"]["run_id"]}
    assert sorted(tags(run)["row"] for run in children) == ["plain", "plain", "talking", "talking"]
    assert {run["info"]["status"] for run in runs} == {"FINISHED"}
    assert "plain" in tags(parent)["mlflow.note.content"]
    talking, _ = search_runs(address, experiment, "params.\"attention.name\" = 'talking_heads'")
    assert tags(talking)["row"] == "talking"
    assert "val/perplexity" in {metric["key"] for metric in talking["data"]["metrics"]}
