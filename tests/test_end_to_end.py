"""The command line as a user meets it: a sweep is interrupted, goes on, and is reported."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mta_lab.words import counted
from tests.launch.sweeps import write_sweep

COMMAND = [sys.executable, "-m", "mta_lab"]
ROWS = {"plain": {"attention": "softmax"}, "talking": {"attention": "talking_heads"}}
STEPS = 120


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True)
class Story:
    """A sweep in a folder: interrupted, finished, run once more, reported."""

    folder: Path
    interrupted: Done
    survivors: bool
    """whether a process of the interrupted sweep was left"""
    kept: dict[Path, bytes]
    """the records after the interruption"""
    finished: Done
    repeated: Done
    report: Done


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "COLUMNS": "200"}


def call(folder: Path, *arguments: str) -> Done:
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def interrupt_after_first_run(folder: Path, *arguments: str) -> tuple[Done, bool]:
    """Press Ctrl-C for the whole process group, once one run is finished and another begun."""
    with (folder / "errors.txt").open("w+") as errors:
        process = subprocess.Popen(
            [*COMMAND, *arguments], cwd=folder, env=environment(folder), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        assert process.stdout is not None
        output, pressed = "", False
        for line in process.stdout:
            if ": perplexity" in output and line.endswith(" started\n") and not pressed:
                os.killpg(process.pid, signal.SIGINT)
                pressed = True
            output += line
        status = process.wait(timeout=60)
        errors.seek(0)
        return Done(status, output, errors.read()), group_exists(process.pid)


def group_exists(group: int) -> bool:
    """Return whether a process of the group is left five seconds on."""
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return True


def records(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted((folder / "results" / "runs").glob("*.json"))}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("user")
    training = {"steps": STEPS, "warmup_steps": 10}
    write_sweep(folder / "heads.yaml", ROWS, data={"corpus": "stdlib"}, training=training)
    sweep = ("sweep", "heads.yaml", "--workers", "2")
    interrupted, survivors = interrupt_after_first_run(folder, *sweep)
    kept = records(folder)
    finished = call(folder, *sweep)
    return Story(
        folder=folder,
        interrupted=interrupted,
        survivors=survivors,
        kept=kept,
        finished=finished,
        repeated=call(folder, *sweep),
        report=call(folder, "report", "heads.yaml", "--format", "json"),
    )


def ended_runs(done: Done) -> list[str]:
    return re.findall(r"^worker \d: (\w+ seed \d): perplexity", done.output, re.MULTILINE)


def test_an_interrupt_says_how_to_go_on_and_leaves_no_process(story: Story) -> None:
    assert story.interrupted.status == 130
    assert not story.survivors
    left = 4 - len(story.kept)
    assert 1 <= left <= 3
    assert f"{counted(left, 'run')} left, the same command goes on" in story.interrupted.errors
    assert "Traceback" not in story.interrupted.errors
    assert "pending" in story.interrupted.output  # the table of what there is


def test_going_on_finishes_the_rest_and_repeats_nothing(story: Story) -> None:
    assert story.finished.status == 0, story.finished.errors
    before, after = ended_runs(story.interrupted), ended_runs(story.finished)
    assert 1 <= len(set(before)) <= len(story.kept)  # a run may have finished as the interrupt came
    assert len(after) == len(set(after)) == 4 - len(story.kept)
    assert set(before).isdisjoint(after)
    now = records(story.folder)
    assert len(now) == 4
    assert all(now[path] == content for path, content in story.kept.items())


def test_a_log_of_the_sweep_reads_as_plain_lines(story: Story) -> None:
    output = story.finished.output
    left = 4 - len(story.kept)
    assert f"Heads: {left} of 4 runs to train on 2 workers" in output
    for run in ended_runs(story.finished):
        assert re.search(rf"^worker \d: {run} started$", output, re.MULTILINE)
        assert re.search(rf"^worker \d: {run}: perplexity [\d.]+, [\d,]+ tokens/s", output, re.MULTILINE)
    assert f"{left}/{counted(left, 'run')}" in output
    assert "\x1b" not in output
    assert "\r" not in output


def test_a_finished_sweep_trains_nothing_and_prints_the_same_table(story: Story) -> None:
    assert story.repeated.status == 0
    assert "all 4 runs are finished, nothing to train" in story.repeated.output
    assert ended_runs(story.repeated) == []
    assert (
        story.repeated.output.partition("Heads (nano)")[2] == story.finished.output.partition("Heads (nano)")[2] != ""
    )


def test_the_table_shows_what_the_report_holds(story: Story) -> None:
    assert (story.report.status, story.report.errors) == (0, "")
    document = json.loads(story.report.output)
    assert [row["row"] for row in document["rows"]] == list(ROWS)
    for row in document["rows"]:
        line = " ".join(line for line in story.repeated.output.splitlines() if line.split()[:1] == [row["row"]])
        assert len(row["scores"]) == 2
        assert all(f"{value:.2f}" in line for value in row["scores"].values())
        assert f"{row['mean']:.2f}" in line
        assert f"{row['parameters']:,}" in line
        assert 1 < row["mean"] < 300  # better than guessing among 300 tokens
    measured = {value for row in document["rows"] for value in row["scores"].values()}
    assert measured == {json.loads(content)["score"] for content in records(story.folder).values()}


def test_the_tracker_tells_interrupted_runs_from_finished_ones(story: Story) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{story.folder}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("heads-nano").experiment_id])
    parents = [run for run in runs if "fingerprint" not in run.data.tags]
    assert sorted(run.info.status for run in parents) == ["FINISHED", "KILLED"]
    states = Counter(run.info.status for run in runs if run not in parents)
    assert states["FINISHED"] == 4
    assert set(states) <= {"FINISHED", "KILLED"}
    assert states["KILLED"] >= 1
    finished = [run.data.tags["fingerprint"] for run in runs if run.info.status == "FINISHED" and run not in parents]
    assert len(set(finished)) == 4
