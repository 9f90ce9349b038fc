"""MLflow's own server is killed amid a sweep and comes back; the sweep takes no notice."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.launch.sweeps import write_sweep
from tests.real.test_dashboard import COMMAND, ask, environment, free_port, search_runs, tags, wait_until_up

pytestmark = pytest.mark.real
ROWS = {name: {"attention": name} for name in ("softmax", "talking_heads", "differential")}


@contextmanager
def server(folder: Path, port: int) -> Iterator[None]:
    """MLflow's server over a store in `folder`, killed at the end of the block."""
    store = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "files")]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        *store,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    process = subprocess.Popen(command, cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        wait_until_up(process, f"http://127.0.0.1:{port}")
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def shown(address: str) -> list[dict[str, Any]]:
    url = f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=outage-nano"
    return search_runs(address, ask(url)["experiment"]["experiment_id"])


def lab(folder: Path, port: int, *arguments: str) -> "subprocess.Popen[str]":
    variables = {**environment(), "MLFLOW_TRACKING_URI": f"http://ann:s3cret@127.0.0.1:{port}"}
    command = [*COMMAND, *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_for_more(runs: Path, count: int, launch: "subprocess.Popen[str]") -> int:
    """Wait until more than `count` runs are finished; return how many."""
    while (found := len(list(runs.glob("*.json")))) <= count:
        assert launch.poll() is None, launch.communicate()[0]
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("back", ["before the end", "after the end"])
def test_a_server_away_for_a_while_loses_nothing(back: str, tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    write_sweep(tmp_path / "outage.yaml", ROWS, seeds=4, data={"corpus": "stdlib"}, training={"steps": 400})
    runs = tmp_path / "results" / "runs"
    with server(tmp_path, port):
        launch = lab(tmp_path, port, "sweep", "outage.yaml", "--workers", "2")
        with_server = wait_for_more(runs, 1, launch)
    wait_for_more(runs, with_server, launch)
    if back == "after the end":
        output = launch.communicate(timeout=600)[0]
        assert launch.returncode == 0
        assert output.count("MLflow failed") == 1
        assert "mta-lab sync" in output
    with server(tmp_path, port):
        if back == "before the end":
            output = launch.communicate(timeout=600)[0]
            assert launch.returncode == 0
        for entered in (True, False):
            done = lab(tmp_path, port, "sync", "outage.yaml")
            said = done.communicate(timeout=300)[0]
            assert done.returncode == 0, said
            assert entered or "0 finished and 0 failed runs entered into MLflow, 0 open runs closed" in said
            output += said
        shown_runs = shown(address)
    finished = Counter(tags(run).get("fingerprint") for run in shown_runs if run["info"]["status"] == "FINISHED")
    assert {name: count for name, count in finished.items() if name} == {path.stem: 1 for path in runs.glob("*.json")}
    assert len(list(runs.glob("*.json"))) == 12
    assert not [run for run in shown_runs if run["info"]["status"] == "RUNNING"]
    assert "s3cret" not in output
    assert "Traceback" not in output
