"""One launch of runs that fail in every way; then a retry by hand of one that hangs."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mta_lab.errors import UserError
from mta_lab.executors.local.oom import OomKills, oom_counter
from mta_lab.lab.retries import clear_failures
from mta_lab.results.failures import Attempt
from mta_lab.results.records import Failure, Record, Records
from tests.launch.conftest import Launched, run
from tests.launch.sweeps import write_sweep

MOODS = ("dying", "taken", "greedy", "faulty", "stuck", "nan")
ROWS = {"plain": {"attention": "softmax"}} | {mood: {"attention": {"name": "moody", "mood": mood}} for mood in MOODS}


@dataclass(frozen=True)
class Story:
    """The launch, the same command again, and the retry of the row 'stuck' with a timeout."""

    launch: Launched
    failed: dict[str, Failure]
    """by row, after the launch"""
    again: Launched
    retried: Launched
    failed_then: dict[str, Failure]

    @property
    def finished(self) -> dict[str, Record]:
        records = [result for result in self.launch.results if isinstance(result, Record)]
        return {record.config["attention"].get("mood", "plain"): record for record in records}


def failures(launched: Launched) -> dict[str, Failure]:
    """Return the failures that the records hold of runs that failed for good in the launch."""
    records = Records(launched.folder / "results")
    ended = [records.failed(result.fingerprint) for result in launched.results]
    return {failure.label.removesuffix(" seed 0"): failure for failure in ended if failure}


def kinds(result: Record | Failure) -> list[str]:
    return [attempt.kind for attempt in result.attempts]


@pytest.fixture(scope="module")
def story(moody: Path, words: Path) -> Story:
    folder = moody.parent
    (folder / "vmstat").write_text("oom_kill 0\n")
    rate = {"learning_rate": 0.011}  # of its own: other tests of the package train in this folder, too
    text = {"path": str(words)}
    file = write_sweep(folder / "failing.yaml", ROWS, seeds=1, retry={"killed": 1}, data=text, training=rate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mta_lab.executors.local.pool.oom_counter", lambda: folder / "vmstat")
        launch = run(file, [moody])
    failed = failures(launch)
    again = run(file, [])
    retried = run(file, [moody], before=lambda plan: clear_failures(plan, "stuck"), trial_timeout=2.0)
    return Story(launch, failed, again, retried, failures(launch))


def test_what_is_well_at_a_later_attempt_finishes(story: Story) -> None:
    attempts = {row: kinds(record) for row, record in story.finished.items()}
    assert attempts == {"plain": [], "taken": ["out_of_memory"], "greedy": ["out_of_memory"] * 2, "faulty": ["device"]}
    (taken,) = story.finished["taken"].attempts
    assert "SIGKILL, by the kernel: no memory was left" in taken.reason
    refused, raised = story.finished["greedy"].attempts
    assert "reading 4 sequences at a time" in refused.reason
    assert "reading 2 sequences at a time" in raised.reason
    assert story.finished["greedy"].provenance["micro_batches"] == [1]
    assert "greedy seed 0: out of memory; the next attempt reads 2 sequences at a time" in story.launch.output
    assert "DefaultCPUAllocator" in refused.reason
    assert "MemoryError" in raised.reason


def test_what_fails_beyond_the_policy_has_failed(story: Story) -> None:
    found = {row: (failure.kind, kinds(failure)) for row, failure in story.failed.items()}
    assert found == {
        "dying": ("killed", ["killed"] * 2),  # retried once, as the file says
        "stuck": ("exception", ["exception"]),
        "nan": ("diverged", ["diverged"]),
    }
    segfault, left = story.failed["dying"].attempts
    assert ("SIGSEGV" in segfault.reason, "exit code 3" in left.reason) == (True, True)
    assert isinstance(segfault, Attempt)
    assert segfault.ended <= left.ended
    assert story.launch.status == 1


def test_the_page_tells_of_attempts_and_of_how_to_go_on(story: Story) -> None:
    shown = " ".join(story.launch.output.split())
    assert "taken seed 0: finished at attempt 2; earlier attempts: out of memory." in shown
    assert "greedy seed 0: finished at attempt 3; earlier attempts: out of memory, out of memory." in shown
    assert "(exit code 3); 2 attempts: killed, killed" in shown
    assert "3 runs failed; `mta-lab retry" in shown


def test_the_same_command_leaves_alone_what_failed(story: Story) -> None:
    assert (story.again.status, story.again.events) == (1, [])
    assert "4 of 7 runs are finished, nothing to train" in story.again.output
    assert "3 runs failed; `mta-lab retry" in story.again.output


def test_a_retry_tries_its_row_again_and_ends_what_hangs(story: Story) -> None:
    assert story.retried.status == 1
    assert [run.row for event, _, run in story.retried.events if event == "started"] == ["stuck"]
    stuck = story.failed_then.pop("stuck")
    assert (stuck.kind, kinds(stuck)) == ("timed_out", ["exception", "timed_out"])
    assert "no end within 2 s" in stuck.reason
    assert story.failed_then == {row: failure for row, failure in story.failed.items() if row != "stuck"}


def test_the_tracker_shows_each_attempt(story: Story) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{story.launch.folder}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("failing-nano").experiment_id])
    greedy = [run for run in runs if run.data.tags.get("row") == "greedy"]
    assert sorted(run.info.status for run in greedy) == ["FINISHED", "KILLED", "KILLED"]
    assert {run.data.tags.get("failure") for run in greedy if run.info.status == "KILLED"} == {"out_of_memory"}
    (whole,) = (run for run in greedy if run.info.status == "FINISHED")
    assert [whole.data.tags[f"attempt.{n}"].partition(":")[0] for n in (1, 2)] == ["out_of_memory"] * 2
    (failed,) = (run for run in runs if run.data.tags.get("row") == "dying" and run.info.status == "FAILED")
    assert (failed.data.tags["failure"], "SIGSEGV" in failed.data.tags["attempt.1"]) == ("killed", True)


def test_the_kernel_counts_its_kills_where_anybody_can_read(tmp_path: Path) -> None:
    assert not OomKills(oom_counter()).grew()
    assert "oom_kill " in oom_counter().read_text()
    counter = tmp_path / "memory.events"
    kills = OomKills(counter)  # not there: nothing can be known
    assert not kills.grew()
    counter.write_text("oom 3\noom_kill 2\noom_group_kill 0\n")
    assert kills.grew()
    assert not OomKills(counter).grew()


def test_workers_that_die_at_their_start_for_ever_end_the_launch(moody: Path, words: Path) -> None:
    """Here, as the file with a component is gone."""
    rows = {"short": {**ROWS["plain"], "training.steps": 4}}
    file = write_sweep(moody.parent / "gone.yaml", rows, seeds=1, data={"path": str(words)})
    with pytest.raises(UserError, match=r"could not start, 3 times in a row: .*exit code 1\); see .*worker-0\.log"):
        run(file, [moody.parent / "gone.py"])
