"""An evaluation that is killed (-9) goes on with the same command, to the same numbers."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import mta_lab
from mta_lab.results.records import Records

EVALUATION = "{name: needles, counts: [1, 2], samples: 300, context: 250}"
COMMAND = [sys.executable, "-m", "mta_lab", "evaluate", "results/sweeps/asked.yaml", "plain", "--on", EVALUATION]


def numbers() -> dict[str, Any]:
    """Return what the runs came to, and drop it."""
    found = {}
    for file in Records().files():
        record = json.loads(file.read_text())
        found |= {name: {**one, "finished": ""} for name, one in record["evaluated"].items()}
        file.write_text(json.dumps({**record, "evaluated": {}}))
    return found


def lines() -> int:
    return sum(len(file.read_bytes().splitlines()) for file in Path("results/evaluations").glob("*"))


@pytest.mark.slow
def test_five_kills_at_random_change_no_digit(asked: mta_lab.LoadedSweep) -> None:
    subprocess.run(COMMAND, check=True, capture_output=True)
    whole = numbers()
    assert len(whole) == 1
    generator, killed = random.Random(0), 0
    while killed < 5:
        before, more = lines(), generator.randint(1, 4)
        process = subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and lines() < before + more:
            time.sleep(0.002)
        assert process.poll() is None, "it ended before it was killed: ask more questions"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        killed += 1
        assert not any(json.loads(file.read_text())["evaluated"] for file in Records().files())
    subprocess.run(COMMAND, check=True, capture_output=True)
    assert numbers() == whole
    assert not Path("results/evaluations").exists()
