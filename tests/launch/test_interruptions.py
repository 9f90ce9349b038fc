"""A run ends as an undisturbed one, though its launch and its workers were killed or interrupted.

The fast tests hold the parts alone: `tests/executors` what a worker keeps,
`tests/training/test_resume.py` that a run goes on to the same bits,
`tests/test_end_to_end.py` Ctrl-C.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mta_lab.results.records import Record, Records
from tests.launch.processes import wait_for_workers, workers_of
from tests.launch.sweeps import write_sweep

pytestmark = pytest.mark.slow
ROWS = {"plain": {"attention": {"name": "softmax", "dropout": 0.1}}}
TRAINING = {"steps": 400, "warmup_steps": 50, "validations": 4}
FIRST_NEWS = "attention computed by"  # a launch says so when it first hears from a run


@dataclass(frozen=True)
class Launch:
    """A command that has ended, and where its run was interrupted and gone on with, as it said."""

    status: int
    output: str

    def steps(self, what: str) -> list[int]:
        return [int(step) for step in re.findall(rf"^worker 0: plain seed 0:? {what} at step (\d+)", self.output, re.M)]


def launch(folder: Path, *disturbances: Callable[[int], None]) -> Launch:
    """Run the sweep to its end; each time its run is heard of, disturb the launch anew."""
    command = [sys.executable, "-m", "mta_lab", "sweep", "heads.yaml", "--workers", "1"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "COLUMNS": "200"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    output, coming = "", iter(disturbances)
    for line in process.stdout:
        output += line
        if line.startswith(FIRST_NEWS) or " resumed at step " in line:
            next(coming, leave_alone)(process.pid)
    ended = Launch(process.wait(timeout=60), output)
    wait_for_workers(process.pid)
    return ended


def leave_alone(process: int) -> None:
    """A run that is resumed is heard of twice."""


def press_ctrl_c(process: int) -> None:
    os.killpg(process, signal.SIGINT)


def kill_the_launch(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def terminate_the_worker(process: int) -> None:
    for worker in workers_of(process):
        os.kill(worker, signal.SIGTERM)


def kill_the_worker(process: int) -> None:
    for worker in workers_of(process):
        os.kill(worker, signal.SIGKILL)


@dataclass(frozen=True)
class Story:
    """The launches of the disturbed run, and the records of both."""

    folder: Path
    interrupted: Launch
    kept: list[Path]
    """the checkpoints that the interrupted launch left"""
    finished: Launch
    disturbed: Record
    undisturbed: Record


def record(folder: Path) -> Record:
    (found,) = Records(folder / "results").all_finished()
    return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    disturbed, undisturbed = (tmp_path_factory.mktemp(name) for name in ("disturbed", "undisturbed"))
    for folder in (disturbed, undisturbed):
        write_sweep(folder / "heads.yaml", ROWS, seeds=1, data={"corpus": "stdlib"}, training=TRAINING)
    assert launch(undisturbed).status == 0
    (undisturbed / "data").rename(disturbed / "data")  # the same text need not be prepared twice
    launch(disturbed, kill_the_launch)
    interrupted = launch(disturbed, leave_alone, kill_the_worker, press_ctrl_c)
    kept = sorted((disturbed / "results" / "checkpoints").glob("*/*.ckpt"))
    finished = launch(disturbed, leave_alone, terminate_the_worker)
    return Story(disturbed, interrupted, kept, finished, record(disturbed), record(undisturbed))


def test_a_killed_launch_is_gone_on_with(story: Story) -> None:
    """Its worker noticed, and kept the run; so does the one that replaces a killed worker."""
    first, again = story.interrupted.steps("resumed")
    assert first == again > 0


def test_only_the_death_of_a_worker_is_a_failed_attempt(story: Story) -> None:
    (attempt,) = story.disturbed.attempts
    assert attempt.kind == "killed"
    assert "SIGKILL" in attempt.reason
    assert attempt.step is not None
    assert 0 < attempt.step < TRAINING["steps"]  # what it told last, perhaps a few steps before it was kept
    assert "plain seed 0: finished at attempt 2; earlier attempts: killed." in " ".join(story.finished.output.split())
    assert story.undisturbed.attempts == ()


def test_an_interrupt_keeps_what_runs_and_says_where(story: Story) -> None:
    assert story.interrupted.status == 130
    (start, _), (end,) = story.interrupted.steps("resumed"), story.interrupted.steps("interrupted")
    assert 0 < start <= end < TRAINING["steps"]
    assert story.kept[-1].name == f"{end:09d}.ckpt"
    assert "1 run left, the same command goes on" in story.interrupted.output
    assert "Traceback" not in story.interrupted.output


def test_a_terminated_worker_gives_its_run_back_and_another_goes_on(story: Story) -> None:
    assert story.finished.status == 0
    start, again = story.finished.steps("resumed")
    assert [start] == story.interrupted.steps("interrupted")
    assert [again] == story.finished.steps("interrupted")
    assert "FAILED" not in story.finished.output


def test_the_record_is_that_of_an_undisturbed_launch(story: Story) -> None:
    one, other = story.disturbed, story.undisturbed
    assert (one.fingerprint, one.parameters) == (other.fingerprint, other.parameters)
    assert (one.score, one.domains, one.losses) == (other.score, other.domains, other.losses)
    assert one.validations == other.validations != []
    assert one.scored == other.scored


def test_checkpoints_are_gone_when_the_record_is_there(story: Story) -> None:
    assert list((story.folder / "results" / "checkpoints").iterdir()) == []
