"""Measure time and memory: contestants in turns, and a process' peak before and after."""

import gc
import resource
import time
from collections.abc import Callable, Mapping

from mta_lab.bench.results import Measure

Work = Callable[[], object]
SECONDS = 8.0  # of turns, after which no further round begins
LEAST, MOST = 3, 25  # rounds


def take_turns(contestants: Mapping[str, Work], rounds: int | None) -> dict[str, Measure]:
    """Seconds of every contestant: each round runs each of them once, so that a slow moment of the machine slows all.

    A round before the first is not counted: it allocates and warms up. Without `rounds` there are as many as SECONDS
    hold, within LEAST and MOST.
    """
    for work in contestants.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    until = time.perf_counter() + SECONDS
    for done in range(rounds or MOST):
        if rounds is None and done >= LEAST and time.perf_counter() > until:
            break
        for name, work in contestants.items():
            started = time.perf_counter()
            work()
            taken[name].append(time.perf_counter() - started)
    return {name: Measure(unit="s", values=tuple(values)) for name, values in taken.items()}


def peak_growth(work: Work) -> Measure:
    """Bytes by which the resident memory of this process, a fresh one, peaks higher for `work` than it ever did.

    What is there before (the libraries, the threads, the inputs) is not counted.
    """
    gc.collect()
    before = _peak()
    work()
    return Measure(unit="bytes", values=(float(_peak() - before),))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB
