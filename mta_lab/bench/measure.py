"""Measure time in turns, and memory as the growth of a process's peak, on its own device."""

import gc
import resource
import time
from collections.abc import Callable, Mapping

import torch

from mta_lab.bench.results import Measure
from mta_lab.devices import own

Work = Callable[[], object]
SECONDS = 8.0  # after which no further round begins
LEAST, MOST = 3, 25  # rounds


def take_turns(
    contestants: Mapping[str, Work], rounds: int | None, where: torch.device = own.CPU
) -> dict[str, Measure]:
    """Return the seconds of every contestant on the device `where`, which run in turns.

    Each round runs every contestant once, so that a slow moment of the machine slows all. One round
    before the first is not counted: it allocates and warms up. Without `rounds`, there are as many
    as fit into SECONDS, from LEAST to MOST.
    """
    for work in contestants.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    until = time.perf_counter() + SECONDS
    for done in range(rounds or MOST):
        if rounds is None and done >= LEAST and time.perf_counter() > until:
            break
        for name, work in contestants.items():
            taken[name].append(own.timed(work, where))
    return {name: Measure(unit="s", values=tuple(values)) for name, values in taken.items()}


def peak_growth(work: Work) -> Measure:
    """Return the bytes by which `work` raises the peak of this fresh process's memory.

    On a GPU that is what torch allocated there, elsewhere resident memory. What is there before is
    not counted: libraries, threads and inputs.
    """
    gc.collect()
    before = own.start_peak() if own.on_gpu() else _resident()
    work()
    after = own.peak() if own.on_gpu() else _resident()
    return Measure(unit="bytes", values=(float(after - before),))


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB
