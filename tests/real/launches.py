"""A sweep of short runs as a user launches it; any trouble, and it ends as it does in peace."""

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from optuna.trial import TrialState

from mta_lab.launch.status_file import Busy, launch_status
from mta_lab.results.records import Record, Records
from tests.launch.sweeps import write_sweep
from tests.real.test_dashboard import COMMAND, environment
from tests.scheduling.conftest import plain_study

VARIANTS = ("softmax", "differential", "talking_heads", "multi_token")
ENOUGH = 1200.0  # seconds in which a sweep is over, however busy the machine is
OFTEN = str(Path(__file__).parent / "hasty.py")  # a component file, by which runs are kept very often


def written(folder: Path, words: Path, *, drops: Sequence[float] = (0.1, 0.2, 0.3), seeds: int = 5, steps: int) -> Path:
    """The folder with a sweep of the text in `words`: four rows for each of `drops`."""
    rows = {f"{name} {drop}": {"attention": {"name": name, "dropout": drop}} for name in VARIANTS for drop in drops}
    training = {"steps": steps, "warmup_steps": 10, "validations": 3}
    base = {"model": {"layers": 4}, "training": training, "data": {"path": str(words)}}
    write_sweep(folder / "chaos.yaml", rows, seeds=seeds, retry={"killed": 20, "lost": 20}, **base)
    return folder


@dataclass
class Launch:
    """The command, running."""

    folder: Path
    log: Path
    process: "subprocess.Popen[bytes]"

    @classmethod
    def started(
        cls,
        folder: Path,
        name: str,
        *options: str,
        command: Sequence[str] = COMMAND,
        variables: Mapping[str, str] | None = None,
    ) -> "Launch":
        """Start `command`, which is `mta-lab`; its output goes to a log of that name."""
        log = folder / f"{name}.log"
        words = [*command, "sweep", "chaos.yaml", "--components", OFTEN, *options]
        with log.open("wb") as out:
            process = subprocess.Popen(
                words, cwd=folder, env=variables or environment(), stdout=out, stderr=out, start_new_session=True
            )
        return cls(folder, log, process)

    def said(self) -> str:
        return self.log.read_text()

    def finished(self) -> int:
        """Return how many runs have ended well, in this launch or before it."""
        return len(list((self.folder / "results" / "runs").glob("*.json")))

    def busy(self) -> Sequence[Busy]:
        """Return what each of its workers trains, as it last told."""
        status = launch_status(self.folder / "results")
        return status.workers if status else ()

    def tried_again(self) -> int:
        """Return how many attempts it has seen fail that are tried again."""
        return self.said().count("; it is tried again")

    def resumed(self) -> int:
        """Return how many runs it went on with amid their steps."""
        return len(re.findall(r"resumed at step [1-9]", self.said()))

    def wait(self, seconds: float) -> None:
        """Wait so long for its good end; kill it where there is none."""
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
        self.end()
        assert code == 0, f"ended with {code} after at most {seconds:.0f} s:\n{self.said()}"

    def end(self) -> None:
        """Kill it if it runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def in_peace(folder: Path) -> Path:
    """The folder, in which its sweep has run undisturbed on this machine."""
    Launch.started(folder, "peace", "--workers", "4").wait(ENOUGH)
    return folder


def prepared(folder: Path, peace: Path) -> Path:
    """The folder with the sweep of `peace` and its text, and no results."""
    shutil.copy(peace / "chaos.yaml", folder)
    shutil.copytree(peace / "data", folder / "data")
    return folder


def assert_as_in_peace(folder: Path, peace: Path) -> None:
    """Every run has ended once, everywhere, with the numbers that it has in peace, to the bit."""
    ended, expected = records(folder), records(peace)
    assert complete_trials(folder) == finished_runs(folder) == dict.fromkeys(expected, 1)
    assert ended.keys() == expected.keys()
    for fingerprint, record in expected.items():
        again = ended[fingerprint]
        assert (again.score, again.domains) == (record.score, record.domains), record.config
        assert (again.losses, again.validations) == (record.losses, record.validations), record.config
    assert not list((folder / "results" / "failed").glob("*"))
    assert not list((folder / "results" / "checkpoints").glob("*"))
    assert not [log for log in folder.glob("*.log") if "Traceback" in log.read_text()]


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
