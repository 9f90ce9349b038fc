"""A schedule without training: many runs on many workers, in time that is counted, not waited for.

Run as a program, it prints what the schedule costs the launch's own process:
`python -m tests.launch.schedule 100000 1000`. Real are the queue's order, the loop, the account of
workers, and the records, log of events and status file that a launch writes; Optuna's journal and
MLflow are not there.
"""

import heapq
import json
import random
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mta_lab.executors.base import Finished, Progressed, Resources, RunRequest, Slot
from mta_lab.executors.local.messages import Arrived, Message, Ready, Stop
from mta_lab.executors.places import Gate, Place, read_nonce
from mta_lab.executors.workers import WorkersExecutor
from mta_lab.lab.lines import Lines
from mta_lab.launch.event_log import EventLog
from mta_lab.launch.events import Announcer, LaunchStarted
from mta_lab.launch.listeners import NextRun, QueueListener, RecordsListener
from mta_lab.launch.loop import LaunchLoop
from mta_lab.launch.queue import SweepQueue
from mta_lab.launch.recording import Recorder
from mta_lab.launch.retries import Retries
from mta_lab.launch.status_file import StatusFile
from mta_lab.planning.runs import Run
from mta_lab.results.records import Records
from mta_lab.training.result import Progress, TrainingResult, Validation
from tests.config.helpers import config
from tests.executors.scripted import VERSIONS
from tests.report.examples import example_sweep

REPORTS = 100  # that a run makes, as `training.run.REPORTS`
LAST = Validation(step=REPORTS, quantity="perplexity", domains={"a": 9.0}, scored={"a": 1})
RESULT = TrainingResult(
    parameters=1, implementations={}, losses=tuple((step, 2.0) for step in range(1, REPORTS + 1)), validations=(LAST,),
    tokens_per_second=1.0, training_seconds=1.0, seconds=1.0, peak_memory=None, flops_per_token=1.0,
    stopped_early=False,
)  # fmt: skip


class SimulatedWorkers:
    """Workers that take a drawn time for each report; a poll brings the next message of all."""

    def __init__(self, workers: int, directory: Path) -> None:
        self._nonce, self._random, self._now = read_nonce(directory), random.Random(0), 0.0
        self._next = [(0.0, worker, -1) for worker in range(workers)]  # when, of whom, after how many reports

    def send(self, worker: int, message: RunRequest | Stop) -> None:
        self._later(worker, 0)

    def poll(self, seconds: float) -> Sequence[tuple[int, Message]]:
        if not self._next:
            return []
        self._now, worker, reports = heapq.heappop(self._next)
        if reports < 0:
            host = f"host{worker // 8}"
            place = Place(host=host, machine="a GPU", threads=1, versions=VERSIONS, nonce=self._nonce)
            return [(worker, Arrived(host=host)), (worker, Ready(place=place))]
        if reports == REPORTS:
            return [(worker, Finished(result=RESULT))]
        self._later(worker, reports + 1)
        step = reports + 1
        return [
            (worker, Progressed(progress=Progress(step=step, loss=2.0, validation=LAST if step == REPORTS else None)))
        ]

    def kill(self, worker: int) -> None:
        raise AssertionError

    def leave_out(self, host: str) -> bool:
        raise AssertionError

    def close(self) -> None:
        pass

    def _later(self, worker: int, reports: int) -> None:
        heapq.heappush(self._next, (self._now + self._random.random(), worker, reports))


class NoStudy:
    """Takes what Optuna's study is told."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of a schedule to the launch's own process."""

    milliseconds: float
    """of the processor, a run"""
    gigabytes: float
    """that the process held at most"""


def runs_of(number: int, seeds: int = 10) -> list[Run]:
    """Return so many runs, each row under as many seeds."""
    base = config(f"training.steps={REPORTS}", "training.warmup_steps=1", "training.validations=1")
    planned = [(seed, row) for seed in range(seeds) for row in range(number // seeds)]
    return [
        Run(row=f"row {row}", seed=seed, config=replace(base, seed=seed), content_hash="text", fingerprint=f"{n:016x}")
        for n, (seed, row) in enumerate(planned)
    ]


def scheduled(number: int, workers: int, folder: Path) -> tuple[Cost, Records]:
    """Let so many runs come to their ends on so many workers; return the cost and the records."""
    runs, records = runs_of(number), Records(folder / "results")
    records.directory.mkdir()
    announcer = Announcer([REPORTS] * number)
    queue, recorder = SweepQueue(runs, NoStudy()), Recorder(records, folder, None, lambda fingerprint: "")  # type: ignore[arg-type]
    gate = Gate(records.directory, VERSIONS, announcer.say)
    slots = [Slot(number=number, resources=Resources(cores=1)) for number in range(workers)]
    with WorkersExecutor(slots, SimulatedWorkers(workers, records.directory), gate) as executor:
        loop = LaunchLoop(queue, executor, announcer, recorder, Retries({}))
        found = dict.fromkeys((run.fingerprint for run in runs), "pending")
        status = StatusFile(example_sweep(folder), runs, found, records.directory / "launch.json", "mta-lab sweep one")
        announcer.listeners += [RecordsListener(records), EventLog(records.directory), status, Lines(lambda line: None)]
        announcer.listeners += [NextRun(loop.submit), QueueListener(queue, loop.prune)]
        started = time.process_time()
        with loop.announced(LaunchStarted(sweep="one", scale="nano", command="mta-lab sweep one", slots=workers)):
            loop.until_done()
        spent = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Cost(milliseconds=1e3 * spent / number, gigabytes=peak / 1e9), records


if __name__ == "__main__":
    with TemporaryDirectory() as directory:
        cost, _ = scheduled(int(sys.argv[1]), int(sys.argv[2]), Path(directory))
    print(json.dumps(vars(cost)))
