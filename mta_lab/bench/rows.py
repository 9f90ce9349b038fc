"""Time a training step of each row of a table in turns, as a ratio to its baseline's."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch

from mta_lab.bench.measure import Work
from mta_lab.config import RunConfig
from mta_lab.devices import own
from mta_lab.errors import UserError
from mta_lab.model import build_model
from mta_lab.stats.turns import FEWEST, Median, median_ratio
from mta_lab.training.sizes import SHARE, micro_batch_of, step_memory
from mta_lab.training.step import random_step
from mta_lab.words import counted, duration

WARM_UP = 3  # rounds that are not counted: the first creates the optimizers' states
LEAST, MOST = 20, 400  # rounds
NARROW = 0.01  # the reach of an interval, as a share of the ratio, at which no further round is needed
ORDER = 0  # seeds the order of the rows within each round

Timed = Callable[[], float]
"""makes a training step, and returns the seconds that it took"""


@dataclass(frozen=True, kw_only=True)
class RowTimes:
    """The times of rows' steps over those of their baselines."""

    ratios: Mapping[str, Median]
    """by row, of those that have another row as a baseline"""
    rounds: int


def time_rows(configs: Mapping[str, RunConfig], baselines: Mapping[str, str], seconds: float) -> RowTimes:
    """Return what a training step of each row takes, over a step of its baseline.

    All models stand in this process. A round has a step of each, one after the other in an order
    that changes, so that whatever else slows the machine slows all. On a CPU a step has one thread,
    and its time is the processor's, whose clock stands while other processes have the core. Rounds
    end when each interval is narrow, but not before LEAST of them, or else at MOST of them or after
    so many seconds.

    Args:
        configs: the rows, with those that are baselines.
        baselines: row -> its baseline, for the rows whose ratio is asked for.
        seconds: after which no further round begins; FEWEST are needed.

    Raises:
        UserError: memory does not hold all the models, or FEWEST rounds take longer.
    """
    threads, where = torch.get_num_threads(), own.device()
    torch.set_num_threads(1)
    try:
        until = time.monotonic() + seconds
        steps = {name: _step(config, where) for name, config in _fitting(configs).items()}
        _warm_up(steps, where, seconds)
        return _rounds(steps, baselines, where, until)
    finally:
        torch.set_num_threads(threads)


def _fitting(configs: Mapping[str, RunConfig]) -> dict[str, RunConfig]:
    """Return the rows with micro-batches that fit beside all the models."""
    free = own.free_memory()
    parts = [step_memory(config, 1) for config in configs.values()]
    kept = sum(part.weights + part.gradients + part.optimizer for part in parts)
    if kept > SHARE * free:
        takes = f"{kept / 1e9:.1f} GB, more than half of the {free / 1e9:.1f} GB that are free"
        raise UserError(f"{counted(len(configs), 'model')} with their optimizers take {takes}")
    return {
        name: replace(config, training=replace(config.training, micro_batch=micro_batch_of(config, free - kept)))
        for name, config in configs.items()
    }


def _step(config: RunConfig, where: torch.device) -> Timed:
    """Return a call that makes a training step of a row, and returns the seconds of it."""
    return partial(_timed, random_step(build_model(config, seed=0), config, where), config.training.precision, where)


def _timed(step: Work, precision: str, where: torch.device) -> float:
    own.set_precision(precision)
    if where.type != "cpu":
        return own.timed(step, where)
    started = time.process_time()
    step()
    return time.process_time() - started


def _warm_up(steps: Mapping[str, Timed], where: torch.device, seconds: float) -> None:
    """Make some rounds that are not counted; refuse a measurement that would take too long."""
    for _ in range(WARM_UP):
        started = time.monotonic()
        for step in steps.values():
            step()
        own.synchronize(where)
        spent = time.monotonic() - started
    if FEWEST * spent > seconds:
        least = f"{FEWEST} rounds of a step of each are needed and take {duration(FEWEST * spent)}"
        raise UserError(f"{least}, allowed: {duration(seconds)}")


def _rounds(steps: Mapping[str, Timed], baselines: Mapping[str, str], where: torch.device, until: float) -> RowTimes:
    order = random.Random(ORDER)
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for done in range(1, MOST + 1):
        for name in order.sample(list(steps), len(steps)):
            taken[name].append(steps[name]())
        over = time.monotonic() > until
        if (over and done >= FEWEST) or done >= LEAST:
            ratios = {row: median_ratio(taken[row], taken[base]) for row, base in baselines.items()}
            if over or all(found.reach < NARROW for found in ratios.values()):
                break
    return RowTimes(ratios=ratios, rounds=done)
