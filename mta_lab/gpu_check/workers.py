"""Stage `workers`: the steps a second of small runs that share one GPU, by their number."""

import multiprocessing
import time
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch

from mta_lab.children import safe_path
from mta_lab.config import resolve, scale_layer
from mta_lab.devices import own
from mta_lab.gpu_check.stages import StageError
from mta_lab.model import build_model
from mta_lab.training.step import random_step
from mta_lab.words import duration

NUMBERS, FEW = (1, 2, 4, 8), (1, 2)  # of processes at once
SECONDS, SHORT = 2.0, 0.2  # of counting, for each number
PATIENCE = 60.0  # seconds until all have started


def run(_folder: Path, small: bool) -> dict[str, Any]:
    """Return steps and whole runs of scale nano, by the number of processes at once."""
    numbers, seconds = (FEW, SHORT) if small else (NUMBERS, SECONDS)
    spawning = multiprocessing.get_context("spawn")
    meeting, counts = spawning.Barrier(max(numbers)), spawning.Queue()
    work = partial(_count, numbers, seconds, meeting, counts)
    with safe_path():
        processes = [spawning.Process(target=work, args=(rank,), daemon=True) for rank in range(max(numbers))]
        for process in processes:
            process.start()
    steps = dict.fromkeys(numbers, 0)
    for _ in range(len(processes) * len(numbers)):
        number, counted = counts.get(timeout=2 * PATIENCE)
        steps[number] += counted
    for process in processes:
        process.join()
    if not all(steps.values()):
        raise StageError(f"a process made no step in {duration(seconds)}: {steps}")
    whole = resolve([scale_layer("nano")]).training.steps
    rates = {number: counted / seconds for number, counted in steps.items()}
    return {str(number): {"steps_a_second": rate, "runs_a_minute": 60 * rate / whole} for number, rate in rates.items()}


def _count(
    numbers: tuple[int, ...], seconds: float, meeting: Barrier, counts: "Queue[tuple[int, int]]", rank: int
) -> None:
    """Make steps as long as `rank` is among those at work, for each number in turn."""
    torch.set_num_threads(1)
    where, config = own.device(), resolve([scale_layer("nano")])
    step = random_step(build_model(config, seed=rank), config, where)
    step()
    own.synchronize(where)
    for number in numbers:
        meeting.wait(PATIENCE)
        until, done = time.monotonic() + seconds, 0
        while rank < number and time.monotonic() < until:
            step()
            own.synchronize(where)
            done += 1
        counts.put((number, done))
