"""The cost of a schedule of many runs on many workers to the launch's own process."""

import json
import subprocess
from pathlib import Path

import pytest

from mta_lab.children import python
from tests.launch.schedule import runs_of, scheduled

MOST_MILLISECONDS, MOST_GIGABYTES = 3.0, 1.0  # of the processor a run; of memory


def test_every_run_of_a_schedule_comes_to_its_end_once(tmp_path: Path) -> None:
    _, records = scheduled(40, 16, tmp_path)
    assert all(records.has_finished(run.fingerprint) for run in runs_of(40))
    events = [json.loads(line) for line in (records.directory / "events.jsonl").read_text().splitlines()]
    for kind in ("run started", "run finished"):
        ended = [event["fingerprint"] for event in events if event["event"] == kind]
        assert sorted(ended) == sorted(run.fingerprint for run in runs_of(40))
    assert not list((records.directory / "checkpoints").iterdir())


@pytest.mark.alone
@pytest.mark.slow
def test_100_000_runs_on_1000_workers_cost_little_each() -> None:
    command = python("-m", "tests.launch.schedule", "100000", "1000")
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    cost = json.loads(done.stdout)
    assert cost["milliseconds"] <= MOST_MILLISECONDS
    assert cost["gigabytes"] <= MOST_GIGABYTES
