"""Estimates of a sweep's time, from recorded runs or a short probe, and what fits a budget."""

import json
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal

import torch

from mta_lab.admission import admit
from mta_lab.config import RunConfig, plain
from mta_lab.devices import own
from mta_lab.errors import UserError
from mta_lab.model import build_model, count_parameters
from mta_lab.provenance import contended
from mta_lab.results.records import Record
from mta_lab.sweep import Row, Sweep
from mta_lab.training.step import TrainingStep, random_tokens
from mta_lab.words import counted, duration

WARM_UP, STEPS = 2, 4  # of a probe
LARGEST_STEP = 1e12  # operations; a step of more takes seconds on a CPU, and a probe of it minutes


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
        return f"{self.source}, on a busy machine" if self.contended else self.source


def recorded(rows: Sequence[Row], history: Sequence[Record]) -> dict[str, Estimate]:
    """Return each row's estimate from runs of the same model, attention, task, batch and precision.

    Contended runs count only if there are no others. A row without such runs is unknown.
    """
    timed = _timed(history)
    return {row.name: _scaled(timed.get(_step_of(plain(row.config))), row.config.training.steps) for row in rows}


def _timed(history: Sequence[Record]) -> dict[str, Estimate]:
    """Return the mean seconds of one step, by what decides the time of a step.

    They are those of this machine or else of one other, never of several.
    """
    seconds: dict[str, dict[str, dict[bool | None, list[float]]]] = {}
    for record in history:
        machines = seconds.setdefault(_step_of(record.config), {})
        known = machines.setdefault(str(record.provenance.get("machine")), {})
        known.setdefault(record.contended, []).append(record.seconds / record.config["training"]["steps"])
    found, here = {}, own.trains_on()
    for step, machines in seconds.items():
        known = machines[here if here in machines else next(reversed(machines))]
        contended = next(one for one in (False, None, True) if one in known)
        found[step] = Estimate(fmean(known[contended]), "recorded", contended=contended is True)
    return found


def _step_of(config: Mapping[str, Any]) -> str:
    """Return what decides the time of a step, as a text, of a configuration in canonical form."""
    training = [config["training"].get(key) for key in ("batch_size", "precision")]
    return json.dumps([*(config.get(part) for part in ("model", "attention", "task")), *training], sort_keys=True)


def _scaled(step: Estimate | None, steps: int) -> Estimate:
    """Return the estimate of `steps` steps; unknown if that of one step is."""
    if step is None or step.seconds is None:
        return Estimate(None, "unknown")
    return replace(step, seconds=step.seconds * steps)


def estimates(
    sweep: Sweep, history: Sequence[Record], threads: int, say: Callable[[str], None]
) -> Mapping[str, Estimate]:
    """Return an estimate for each row.

    Rows without recorded runs are probed under `threads` threads, for a few steps each.

    Rows whose step is too large for a probe on this machine's CPU stay unknown.
    """
    found = recorded(sweep.rows, history)
    to_probe = [
        row for row in sweep.rows if found[row.name].seconds is None and _step_operations(row.config) < LARGEST_STEP
    ]
    admit(row.config for row in to_probe)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for row in to_probe:
            say(f"timing a few steps of {row.name}")
            found[row.name] = Estimate(_probe(row.config), "probed", contended=contended() is True)
    finally:
        torch.set_num_threads(before)
    return found


def operations(config: RunConfig) -> float:
    """Return the operations of a whole training run, about: 6 for each parameter and token.

    Source: Kaplan et al. 2020, 2001.08361.
    """
    return _step_operations(config) * config.training.steps


def seconds_of(left: Mapping[str, int], costs: Mapping[str, Estimate], workers: int) -> float | None:
    """Return the seconds that so many runs of each row take on `workers` workers.

    None where some row's time is unknown.
    """
    seconds = [(runs, costs[row].seconds) for row, runs in left.items() if runs]
    known = [runs * each for runs, each in seconds if each is not None]
    return sum(known) / workers if len(known) == len(seconds) else None


def affordable_seeds(
    costs: Mapping[str, Estimate], left: Callable[[int], Mapping[str, int]], *, budget: float, workers: int
) -> int:
    """Return how many seeds of all rows fit `budget` seconds on `workers` workers.

    The choice depends on times, and never on a result.

    `left(n)` says how many runs of each row are still to train with n seeds; what is finished costs
    nothing. Raises UserError where a row's time is unknown, or where not even one seed fits.
    """
    unknown = [name for name, cost in costs.items() if cost.seconds is None]
    if unknown:
        raise UserError(f"--budget: nobody knows how long '{unknown[0]}' takes here; give --seeds N instead")

    def takes(seeds: int) -> float:
        return seconds_of(left(seeds), costs, workers) or 0.0

    most = 1
    while takes(most) <= budget:
        most *= 2
    seeds = bisect_right(range(1, most + 1), budget, key=takes)
    if not seeds:
        needs = f"one seed of every row takes about {duration(takes(1))} on {counted(workers, 'worker')}"
        raise UserError(f"--budget: got {duration(budget)}, but {needs}")
    return seeds


def _step_operations(config: RunConfig) -> float:
    return 6.0 * count_parameters(config) * config.tokens_per_step


def _probe(config: RunConfig) -> float:
    """Seconds of a run by its training steps alone, validation left out."""
    step, tokens = TrainingStep(build_model(config, seed=0), config.training), random_tokens(config)
    for _ in range(WARM_UP):
        step(tokens)
    started = time.perf_counter()
    for _ in range(STEPS):
        step(tokens)
    return (time.perf_counter() - started) / STEPS * config.training.steps
