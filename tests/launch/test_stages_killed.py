"""A chain that is killed (-9) anywhere goes on with the same command, to the same bits."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mta_lab.results.records import Record, Records
from mta_lab.training import tensors
from tests.launch.processes import wait_for_workers, workers_of
from tests.launch.sweeps import write_sweep

pytestmark = pytest.mark.slow
KILLS = (0, 0, 1, 1, 2)
"""number of runs of the chain that have finished before each kill"""
STAGES = {
    "longer": {"times": {"model.context": 2, "training.batch_size": 0.5}, "model.rope_theta": 500000.0},
    "cooler": {"times": {"training.learning_rate": 0.5}},
}
ROWS = {"chain": {"attention": {"name": "softmax", "dropout": 0.1}, "stages": ["longer", "cooler"]}}
TRAINING = {"steps": 400, "warmup_steps": 50, "validations": 4}
COMMAND = [sys.executable, "-m", "mta_lab", "sweep", "chain.yaml", "--workers", "1"]


def started(folder: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(COMMAND, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)


def records(folder: Path) -> dict[str, Record]:
    return {record.fingerprint: record for record in Records(folder / "results").all_finished()}


def trains(folder: Path) -> bool:
    """Return whether a run has told of a step in the last launch."""
    return b"started" in (folder / "log").read_bytes().rpartition(b"to train on")[2]


def killed(folder: Path, finished: int, generator: random.Random) -> None:
    """Begin the launch, and kill it at random once so many runs have finished: itself, or all."""
    process = started(folder)
    while process.poll() is None and not (len(records(folder)) >= finished and trains(folder)):
        time.sleep(0.01)
    time.sleep(generator.uniform(0.0, 0.7))
    assert process.poll() is None, "it ended before it was killed: train longer"
    workers = workers_of(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    for worker in workers if generator.random() < 0.5 else ():
        os.kill(worker, signal.SIGKILL)
    process.wait()
    wait_for_workers(process.pid)


def test_five_kills_at_random_change_no_bit(tmp_path: Path) -> None:
    generator = random.Random(0)
    for name in ("peace", "disturbed"):
        (tmp_path / name).mkdir()
        base = {"model": {"vocabulary": 28}, "task": {"name": "find_block", "letters": 3, "blocks": 2, "held_out": 64}}
        write_sweep(tmp_path / name / "chain.yaml", ROWS, seeds=1, stages=STAGES, training=TRAINING, **base)
    peace, disturbed = tmp_path / "peace", tmp_path / "disturbed"
    assert started(peace).wait() == 0, (peace / "log").read_text()
    for finished in KILLS:
        killed(disturbed, finished, generator)
    assert started(disturbed).wait() == 0, (disturbed / "log").read_text()
    whole, parts = records(peace), records(disturbed)
    assert len(whole) == 3
    assert parts.keys() == whole.keys()
    for name, record in whole.items():
        again = parts[name]
        assert (again.losses, again.validations, again.domains) == (record.losses, record.validations, record.domains)
        one, other = (tensors.read(Records(folder / "results").weights(name)) for folder in (peace, disturbed))
        assert all((one[key] == other[key]).all() for key in one)
    assert not list((disturbed / "results" / "checkpoints").glob("*"))
