"""Measure the time and the peak memory of a run.

On a GPU, memory is what torch allocated, elsewhere resident memory as Linux counts it. A worker
trains run after run, so a run's memory is the growth over what the process held at its start.
There, freed memory is returned to the system and the system's high-water mark is reset.
"""

import ctypes
import gc
import re
import time
from pathlib import Path

from mta_lab.devices import own

CLEAR_REFS, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
RESET_PEAK = "5"  # proc_pid_clear_refs(5): set the peak of resident memory to its present value


class PeakMemory:
    """The growth of memory since this object was made."""

    def __init__(self) -> None:
        gc.collect()
        self._on_gpu = own.on_gpu()
        if self._on_gpu:
            self._before: int | None = own.start_peak()
            return
        _return_freed()
        self._before = _status("VmRSS") if _reset_peak() else None

    def bytes(self) -> int | None:
        """Return the highest growth so far in bytes, or None where it is not known."""
        peak = own.peak() if self._on_gpu else _status("VmHWM")
        return None if self._before is None or peak is None else max(0, peak - self._before)


class Spent:
    """Wall-clock time and peak memory of a run, with its parts before interruptions."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._memory = PeakMemory()
        self._peak: int | None = None

    def add(self, seconds: float, peak_memory: int | None) -> None:
        """Add the time and memory of the parts before an interruption."""
        self._started -= seconds
        self._peak = peak_memory

    def seconds(self) -> float:
        """Return the time so far, in seconds."""
        return time.perf_counter() - self._started

    def peak_memory(self) -> int | None:
        """Return the highest growth of all parts in bytes, or None where it is not known."""
        return max((peak for peak in (self._peak, self._memory.bytes()) if peak is not None), default=None)


def _return_freed() -> None:
    """Return freed memory to the system, where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def _reset_peak() -> bool:
    """Reset the peak of resident memory; return False where the system refuses."""
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
    except OSError:
        return False
    return True


def _status(key: str) -> int | None:
    """Return a size from the status of this process in bytes, or None where there is none."""
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
