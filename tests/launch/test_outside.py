"""A sweep as another process sees it: while it runs, after it was killed, and when it is stale."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mta_lab.launch.guards import launch_runs
from mta_lab.launch.status_file import LaunchStatus, launch_status
from tests.launch.sweeps import write_sweep

ROWS = {"own": {"attention": "moody"}, "long": {"attention": "softmax", "training": {"steps": 100_000}}}


class Terminal:
    """A directory with a sweep of a short row and an endless one, and a user's component."""

    def __init__(self, folder: Path, text: Path) -> None:
        self.folder = folder
        self.component = folder / "moody.py"
        self.component.write_text((Path(__file__).parent / "moody.py").read_text())
        write_sweep(folder / "two.yaml", ROWS, seeds=1, data={"path": str(text)})
        write_sweep(folder / "short.yaml", {"own": ROWS["own"]}, seeds=1, data={"path": str(text)})

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "mta_lab", *arguments]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db", "COLUMNS": "200"}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=environment, text=True, stdout=pipe, stderr=pipe)

    def type(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        return process.returncode, out + err

    def own(self, command: str, *arguments: str) -> tuple[int, str]:
        return self.type(command, *arguments, "--components", "moody.py")

    def status(self, launch: "subprocess.Popen[str]") -> LaunchStatus:
        """Of a launch that has finished the short row and is well into the long one."""
        while launch.poll() is None:
            status = launch_status(self.folder / "results")
            if status and status.ended.get("finished") and status.workers and status.workers[0].step:
                return status
            time.sleep(0.1)
        pytest.fail(f"the launch ended: {launch.communicate()}")


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory, words: Path) -> Terminal:
    return Terminal(tmp_path_factory.mktemp("outside"), words)


@pytest.fixture(scope="module")
def story(terminal: Terminal) -> dict[str, tuple[int, str]]:
    """Return what each command said in the course of a launch, of its death, and of an edit."""
    said = {"before": terminal.type("status")}
    launch = terminal.start("sweep", "two.yaml", "--workers", "1", "--components", "moody.py")
    try:
        terminal.status(launch)
        said["running"] = terminal.type("status")
        said["why running"] = terminal.own("why", "two.yaml", "long")
        said["why finished"] = terminal.own("why", "two.yaml", "own")
    finally:
        launch.kill()
        launch.communicate()
    said["killed"] = terminal.own("status", "two.yaml")
    said["why pending"] = terminal.own("why", "two.yaml", "long", "--seed", "0")
    said["typo"] = terminal.own("why", "two.yaml", "lnog")
    terminal.component.write_text(terminal.component.read_text().replace("return value_BMTd", "return 2 * value_BMTd"))
    said["why stale"] = terminal.own("why", "short.yaml", "own")
    said["stale"] = terminal.own("sweep", "short.yaml")
    said["rerun"] = terminal.own("sweep", "short.yaml", "--rerun-stale")
    said["again"] = terminal.own("sweep", "short.yaml")
    said["status finished"] = terminal.own("status", "short.yaml")
    return said


def test_nothing_runs_and_what_to_type(story: dict[str, tuple[int, str]]) -> None:
    status, said = story["before"]
    assert status == 0
    assert "nothing runs here; 0 finished and 0 failed runs" in said
    assert "mta-lab sweep NAME" in said


def test_a_running_launch_shows_its_worker_and_its_runs(story: dict[str, tuple[int, str]]) -> None:
    status, said = story["running"]
    assert status == 0
    assert "two (nano): 1 finished" in said
    assert "long seed 0" in said
    assert re.search(rf" {re.escape(socket.gethostname())} +│ CPU ", said)
    runs = {line.split("│")[1].strip(): line.split("│")[2:7] for line in said.splitlines() if line.startswith("│")}
    assert [count.strip() for count in runs["own"]] == ["1", "-", "-", "-", "-"]
    assert [count.strip() for count in runs["long"]] == ["-", "1", "-", "-", "-"]
    assert "long seed 0: running on worker 0 since" in story["why running"][1]


def test_a_killed_launch_is_gone_and_its_run_is_pending(story: dict[str, tuple[int, str]], terminal: Terminal) -> None:
    _, said = story["killed"]
    assert "is gone: it was killed" in said
    assert "mta-lab sweep two.yaml" in said
    assert "workers" not in said
    assert "long seed 0: pending" in story["why pending"][1]
    assert not launch_runs(terminal.folder / "results")


def test_a_finished_run_says_where_its_record_is(story: dict[str, tuple[int, str]], terminal: Terminal) -> None:
    _, said = story["why finished"]
    assert "own seed 0: finished 20" in said
    record = next(line.split("record: ")[1] for line in said.splitlines() if "record: " in line)
    assert (terminal.folder / record).exists()


def test_a_typo_in_the_row_is_answered_with_the_nearest(story: dict[str, tuple[int, str]]) -> None:
    status, said = story["typo"]
    assert status == 2
    assert "no row named 'lnog'; did you mean 'long'?" in said


def test_a_finished_sweep_is_called_finished_and_what_shows_it_is_named(story: dict[str, tuple[int, str]]) -> None:
    status, said = story["status finished"]
    assert status == 0
    assert "short (nano): finished, 1 run. To see its table: mta-lab report short.yaml" in said
    assert "is missing" not in said


def test_a_stale_run_is_trained_again_only_when_asked(story: dict[str, tuple[int, str]], terminal: Terminal) -> None:
    assert "own seed 0: stale: component code changed since its result of 20" in story["why stale"][1]
    assert story["stale"][0] == 1
    assert "1 run is stale (component code changed since); --rerun-stale trains it again" in story["stale"][1]
    assert "worker 0" not in story["stale"][1]
    assert story["rerun"][0] == story["again"][0] == 0
    assert "own seed 0: perplexity" in story["rerun"][1]
    assert "nothing to train" in story["again"][1]
    assert len(list((terminal.folder / "results" / "runs").glob("*.json"))) == 2
    assert launch_status(terminal.folder / "results") is None
