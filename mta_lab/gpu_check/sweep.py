"""Stage `sweep`: a table is trained while a worker is killed, and is then complete."""

import json
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from mta_lab.children import python
from mta_lab.devices import own
from mta_lab.gpu_check.stages import StageError
from mta_lab.results.records import Records
from mta_lab.workspace import LAUNCH_EVENTS, RESULTS

NAME, WORKERS = "kernel_sizes", 2
STEPS, FEW = 200, 40
MOST_KILLED = 3  # workers; a run is tried again twice
PAUSE = 0.5  # seconds in which a launch tells of a worker that is gone
WORDS = ("the", "a", "red", "old", "cat", "tree", "river", "sees", "finds", "beside", "and")


def run(folder: Path, small: bool) -> dict[str, Any]:
    """Return what the two launches came to; raise StageError where a run is lost or told wrong."""
    text = _written(folder / "words")
    settings = (f"data.path={text}", f"training.steps={FEW if small else STEPS}", "training.validation_tokens=1024")
    command = ("sweep", NAME, "--seeds", "1", "--workers", str(WORKERS), *settings)
    started = time.monotonic()
    with (folder / "launch").open("wb") as log:
        launch = subprocess.Popen(python("-m", "mta_lab", *command), cwd=folder, stdout=log, stderr=log)
        _kill_a_worker(launch, folder / RESULTS / LAUNCH_EVENTS)
        status = launch.wait()
    seconds = time.monotonic() - started
    if status:
        raise StageError(f"the launch ended with status {status}: {(folder / 'launch').read_text()[-600:]}")
    records = Records(folder / RESULTS).all_finished()
    killed = [record for record in records if any(attempt.kind == "killed" for attempt in record.attempts)]
    if not killed:
        raise StageError("a worker was killed, and no finished run tells of it")
    if wrong := {str(record.provenance.get("machine")) for record in records} - {own.machine()}:
        raise StageError(f"records name {', '.join(wrong)}, and this machine's device is {own.machine()}")
    if "nothing to train" not in (said := launched(folder, *command)):
        raise StageError(f"the second launch trained again: {said[-600:]}")
    return {
        "runs": len(records),
        "killed": [record.attempts[0].reason for record in killed],
        "seconds": round(seconds, 1),
        "tokens_a_second": [record.tokens_per_second for record in records],
        "attention": sorted({name for record in records for name in record.implementations}),
        "place": dict(records[0].provenance),
    }


def launched(folder: Path, *arguments: str) -> str:
    """Run `mta-lab` in a folder and return all that it prints; raise StageError if it fails."""
    command = python("-m", "mta_lab", *arguments)
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise StageError(f"`mta-lab {' '.join(arguments)}` ended with status {done.returncode}: {done.stdout[-600:]}")
    return done.stdout


def _written(text: Path) -> Path:
    """Write a small text of one domain, and return its folder."""
    text.mkdir()
    generator = random.Random(0)
    lines = (json.dumps({"text": " ".join(generator.choices(WORDS, k=120))}) for _ in range(300))
    (text / "tales.jsonl").write_text("\n".join(lines))
    return text


def _kill_a_worker(launch: "subprocess.Popen[bytes]", events: Path) -> None:
    """Kill a worker in the middle of a run, once each has one, until a run is told as killed.

    Between two runs a worker has none, so that it may take more than one.
    """
    started, killed = 0, 0
    while launch.poll() is None and killed < MOST_KILLED:
        said = events.read_text() if events.exists() else ""
        if '"kind": "killed"' in said:
            return
        starts = [line for line in said.splitlines() if '"run started"' in line]
        now = len(starts) if len({json.loads(line)["slot"] for line in starts}) == WORKERS else 0
        workers = _workers_of(launch.pid) if now > started else []
        if workers:
            os.kill(random.choice(workers), signal.SIGKILL)
            started, killed = now, killed + 1
        time.sleep(PAUSE)


def _workers_of(launch: int) -> list[int]:
    """Return the worker processes of a launch."""
    with suppress(psutil.Error):
        return [child.pid for child in psutil.Process(launch).children() if "spawn_main" in " ".join(child.cmdline())]
    return []
