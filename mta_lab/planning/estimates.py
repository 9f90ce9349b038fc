"""Estimates of a sweep's time, from recorded runs or a short probe, and what fits a budget."""

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import torch

from mta_lab.admission import admit
from mta_lab.config import RunConfig, plain
from mta_lab.devices import own
from mta_lab.devices.child import computing
from mta_lab.devices.known import Device
from mta_lab.errors import UserError
from mta_lab.model import HALVES, build_model
from mta_lab.planning.by_arithmetic import UTILISATION, on_device, operations_of
from mta_lab.provenance import contended
from mta_lab.results.records import Record
from mta_lab.sweep import Row, Sweep
from mta_lab.training.sizes import GPU_SHARE, micro_batch_of
from mta_lab.training.step import random_step
from mta_lab.words import counted, duration

WARM_UP, STEPS = 2, 4  # of a probe
LEAST_SHARE = 0.1
"""share of a row's steps below which a run does not say what they take: it is mostly start"""
LARGEST_STEP = 1e12  # operations; a step of more takes seconds on a CPU, and a probe of it minutes
PRODUCT = 2048  # rows and columns of the matrices that are multiplied where a step is too large
ORIGINS = {"arithmetic": f"by arithmetic, at {UTILISATION} of the rate of a matrix product here"}


@dataclass(frozen=True)
class Estimate:
    """Seconds a run takes, None where nothing is known, and where that comes from."""

    seconds: float | None
    source: Literal["recorded", "probed", "arithmetic", "unknown"]
    contended: bool = False
    """whether other work ran beside all that was timed, so that it takes less on a quiet machine"""

    @property
    def origin(self) -> str:
        """Return the source in words."""
        said = ORIGINS.get(self.source, self.source)
        return f"{said}, on a busy machine" if self.contended else said


def recorded(rows: Sequence[Row], history: Sequence[Record]) -> dict[str, Estimate]:
    """Return each row's estimate from runs of the same model, attention, task, batch and precision.

    Runs of a few steps count only for rows of as few. Contended runs count only if there are no
    others. A row without such runs is unknown.
    """
    by_step: dict[str, list[Record]] = {}
    for record in (one for one in history if one.config["training"]["steps"]):
        by_step.setdefault(step_of(record.config), []).append(record)

    @cache
    def estimate(step: str, steps: int) -> Estimate:
        long_enough = [record for record in by_step.get(step, ()) if record.steps >= LEAST_SHARE * steps]
        return _scaled(_timed(long_enough), steps)

    return {row.name: estimate(step_of(plain(row.config)), row.config.training.steps) for row in rows}


def _timed(runs: Sequence[Record]) -> Estimate | None:
    """Return the mean seconds of one step of runs; None where there is no run.

    They are those of this machine or else of one other, never of several.
    """
    machines: dict[str, dict[bool | None, list[float]]] = {}
    for record in runs:
        known = machines.setdefault(record.machine, {})
        known.setdefault(record.contended, []).append(record.seconds / record.steps)
    if not machines:
        return None
    here = own.trains_on()
    known = machines[here if here in machines else next(reversed(machines))]
    contended = next(one for one in (False, None, True) if one in known)
    return Estimate(fmean(known[contended]), "recorded", contended=contended is True)


def step_of(config: Mapping[str, Any]) -> str:
    """Return what decides the time of a step, as a text, of a configuration in canonical form."""
    training = [config["training"].get(key) for key in ("batch_size", "precision")]
    return json.dumps([*(config.get(part) for part in ("model", "attention", "task")), *training], sort_keys=True)


def _scaled(step: Estimate | None, steps: int) -> Estimate:
    """Return the estimate of `steps` steps; unknown if that of one step is, except for none."""
    if not steps:  # a stage that is only scored
        return Estimate(0.0, "arithmetic")
    if step is None or step.seconds is None:
        return Estimate(None, "unknown")
    return replace(step, seconds=step.seconds * steps)


def estimates(
    sweep: Sweep, history: Sequence[Record], threads: int, say: Callable[[str], None], components: Sequence[Path] = ()
) -> Mapping[str, Estimate]:
    """Return an estimate for each row.

    Rows without recorded runs are probed under `threads` threads, for a few steps each, on the
    device that trains; `components` are files and folders of the user's, which that needs. Rows
    whose step is too large for a probe on a CPU are estimated from a matrix product there.
    """
    found = recorded(sweep.rows, history)
    to_probe = [row for row in sweep.rows if found[row.name].seconds is None]
    if not to_probe:
        return found
    admit((row.config for row in to_probe), components)
    with computing(components) as call:
        for row in to_probe:
            say(f"timing a few steps of {row.name}")
            found[row.name] = call(_probe, row.config, threads)
    return found


def seconds_of(
    left: Mapping[str, int],
    costs: Mapping[str, Estimate],
    workers: float,
    chains: Sequence[Sequence[str]] = (),
) -> float | None:
    """Return the seconds that so many runs of each row take on `workers` workers.

    Never less than the longest run, nor than the longest of `chains`: rows that start one from
    another, whose runs cannot run side by side. None where some row's time is unknown.
    """
    seconds = {row: costs[row].seconds for row, runs in left.items() if runs}
    known = {row: each for row, each in seconds.items() if each is not None}
    if len(known) < len(seconds):
        return None
    alone = [sum(known.get(row, 0.0) for row in chain) for chain in chains]
    return max([sum(left[row] * each for row, each in known.items()) / workers, *known.values(), *alone])


def affordable_seeds(
    costs: Mapping[str, Estimate],
    left: Callable[[int], Mapping[str, int]],
    *,
    budget: float,
    workers: int,
    chains: Sequence[Sequence[str]] = (),
) -> int:
    """Return how many seeds of all rows fit `budget` seconds on `workers` workers.

    The choice depends on times, and never on a result.

    `left(n)` says how many runs of each row are still to train with n seeds; what is finished costs
    nothing. `chains` are rows that start one from another. Raises UserError where a row's time is
    unknown, or where not even one seed fits.
    """
    unknown = [name for name, cost in costs.items() if cost.seconds is None]
    if unknown:
        raise UserError(f"--budget: nobody knows how long '{unknown[0]}' takes here; give --seeds N instead")

    def takes(seeds: int) -> float:
        return seconds_of(left(seeds), costs, workers, chains) or 0.0

    most = 1
    while takes(most) <= budget:
        most *= 2
    seeds = bisect_right(range(1, most + 1), budget, key=takes)
    if not seeds:
        needs = f"one seed of every row takes about {duration(takes(1))} on {counted(workers, 'worker')}"
        raise UserError(f"--budget: got {duration(budget)}, but {needs}")
    return seeds


def _probe(config: RunConfig, threads: int) -> Estimate:
    """Return the time of a run by a few steps on the device of this process, validation left out.

    Where the device takes long for a step, one over fewer sequences counts as often as it takes to
    read the batch; where it takes long for one sequence, a matrix product is timed instead.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        part = _part(config)
        if part is None:
            return Estimate(_by_product(config), "arithmetic", contended=contended() is True)
        times = config.training.batch_size / part.training.batch_size * config.training.steps
        return Estimate(_step_seconds(part) * times, "probed", contended=contended() is True)
    finally:
        torch.set_num_threads(before)


def _part(config: RunConfig) -> RunConfig | None:
    """Return `config` with as many sequences a step as a probe reads here, None for none."""
    training = config.training
    if own.on_gpu():
        sequences = micro_batch_of(config, own.free_memory(), GPU_SHARE)
    else:
        divisors = (n for n in range(training.batch_size, 0, -1) if training.batch_size % n == 0)
        sequences = next((n for n in divisors if operations_of(config, n) < LARGEST_STEP), 0)
    if sequences in (0, training.batch_size):
        return config if sequences else None
    return replace(config, training=replace(training, batch_size=sequences, micro_batch="auto"))


def _step_seconds(config: RunConfig) -> float:
    """Return the seconds of a training step, after a few that are not counted."""
    where = own.device()
    own.set_precision(config.training.precision)
    step = random_step(build_model(config, seed=0), config, where)

    def steps(number: int) -> None:
        for _ in range(number):
            step()

    steps(WARM_UP)
    return own.timed(lambda: steps(STEPS), where) / STEPS


def _by_product(config: RunConfig) -> float:
    """Return the seconds of a run at a share of the rate of a matrix product on the CPU."""
    precision = config.training.precision
    rate = _product_rate(HALVES.get(precision, torch.float32), torch.get_num_threads())
    return on_device(config, Device(name="here", memory=own.free_memory(), peaks={precision: rate})).seconds


@cache
def _product_rate(dtype: torch.dtype, _threads: int) -> float:
    """Return the operations a second of a matrix product in the threads that are set."""
    a, b = torch.ones(2, PRODUCT, PRODUCT, dtype=dtype)
    torch.mm(a, b)
    return 2 * PRODUCT**3 / own.timed(lambda: torch.mm(a, b), own.CPU)
