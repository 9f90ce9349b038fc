"""Workers are killed every few seconds, the launch once; each run still ends once, as in peace.

Twenty passes, each with other victims: `MTA_LAB_CHAOS=20 make test-real ARGS='-k chaos -s'`.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from mta_lab.results.records import Record, Records
from tests.launch.processes import wait_for_workers, workers_of
from tests.launch.sweeps import write_sweep, write_words
from tests.real.test_dashboard import COMMAND, environment
from tests.scheduling.conftest import plain_study

pytestmark = pytest.mark.real
PASSES = int(os.environ.get("MTA_LAB_CHAOS", "1"))
RUNS, SEEDS, WORKERS = 60, 5, 4
VARIANTS = ("softmax", "differential", "talking_heads", "multi_token")
ROWS = {
    f"{name} {drop}": {"attention": {"name": name, "dropout": drop}} for name in VARIANTS for drop in (0.1, 0.2, 0.3)
}
TRAINING = {"steps": 60, "warmup_steps": 10, "validations": 3}
PAUSE = (4.0, 8.0)  # seconds between two kills, at least
SWEEP = ("sweep", "chaos.yaml", "--workers", str(WORKERS), "--components", str(Path(__file__).parent / "hasty.py"))


def written(folder: Path, words: Path) -> Path:
    """The folder with the sweep of the text in `words`."""
    base = {"model": {"layers": 4}, "training": TRAINING, "data": {"path": str(words)}}
    write_sweep(folder / "chaos.yaml", ROWS, seeds=SEEDS, retry={"killed": 20}, **base)
    return folder


@dataclass
class Launch:
    """The command, running."""

    folder: Path
    log: Path
    process: "subprocess.Popen[bytes]"

    @classmethod
    def started(cls, folder: Path, name: str) -> "Launch":
        log = folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*COMMAND, *SWEEP], cwd=folder, env=environment(), stdout=out, stderr=out, start_new_session=True
            )
        return cls(folder, log, process)

    def said(self) -> str:
        return self.log.read_text()

    def finished(self) -> int:
        """Return how many runs have ended well, in this launch or before it."""
        return len(list((self.folder / "results" / "runs").glob("*.json")))

    def kill_workers(self, generator: random.Random, until: int = RUNS) -> int:
        """Kill one worker after the other until that many runs have finished; how many it were.

        A run finishes between two of them, so that the sweep gets on however slow the machine is.
        """
        killed, due, before = 0, 0.0, self.finished()
        while self.finished() < until and self.process.poll() is None:
            victims = workers_of(self.process.pid)
            if time.monotonic() > due and self.finished() > before and victims:
                with suppress(ProcessLookupError):
                    os.kill(generator.choice(victims), signal.SIGKILL)
                    killed += 1
                due, before = time.monotonic() + generator.uniform(*PAUSE), self.finished()
            time.sleep(0.05)
        return killed


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small text of one domain."""
    return write_words(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def peace(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep, undisturbed."""
    folder = written(tmp_path_factory.mktemp("peace"), words)
    launch = Launch.started(folder, "only")
    assert launch.process.wait(timeout=300) == 0, launch.said()
    return folder


def records(folder: Path) -> dict[str, Record]:
    return {record.fingerprint: record for record in Records(folder / "results").all_finished()}


def complete_trials(folder: Path) -> Counter[str]:
    trials = plain_study(folder / "results" / "optuna.journal", "chaos-nano").get_trials()
    assert not [trial for trial in trials if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
    return Counter(trial.user_attrs["fingerprint"] for trial in trials if trial.state == TrialState.COMPLETE)


def finished_runs(folder: Path) -> Counter[str]:
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("chaos-nano").experiment_id])
    assert "RUNNING" not in {run.info.status for run in runs}
    trained = [run for run in runs if "fingerprint" in run.data.tags]
    return Counter(run.data.tags["fingerprint"] for run in trained if run.info.status == "FINISHED")


@pytest.mark.parametrize("seed", range(PASSES))
def test_every_run_ends_once_with_the_result_it_has_in_peace(
    seed: int, peace: Path, words: Path, tmp_path: Path
) -> None:
    generator, begun = random.Random(seed), time.monotonic()
    folder = written(tmp_path, words)
    shutil.copytree(peace / "data", folder / "data")
    first = Launch.started(folder, "first")
    killed = first.kill_workers(generator, until=generator.randrange(RUNS // 3, 2 * RUNS // 3))
    first.process.kill()
    assert first.process.wait() == -signal.SIGKILL, first.said()
    before = first.finished()
    second = Launch.started(folder, "second")  # at once, while workers of the first may still be at theirs
    killed += second.kill_workers(generator)
    assert second.process.wait(timeout=120) == 0, second.said()
    wait_for_workers(first.process.pid)
    resumed = len(re.findall(r"resumed at step [1-9]", first.said() + second.said()))
    took = time.monotonic() - begun
    print(f"seed {seed}: {killed} workers killed, the launch at {before} runs, {resumed} resumed, {took:.0f} s")

    ended, expected = records(folder), records(peace)
    assert len(ended) == RUNS
    assert killed >= 3
    assert complete_trials(folder) == finished_runs(folder) == dict.fromkeys(ended, 1)
    for fingerprint, record in expected.items():
        again = ended[fingerprint]
        assert (again.score, again.domains) == (record.score, record.domains), record.config
        assert (again.losses, again.validations) == (record.losses, record.validations), record.config
    assert not list((folder / "results" / "failed").glob("*"))
    assert not list((folder / "results" / "checkpoints").glob("*"))
    assert "Traceback" not in first.said() + second.said()
