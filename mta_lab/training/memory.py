"""Time and peak memory of a run: the latter on a GPU what torch allocated, else resident memory as Linux counts it.

A worker trains run after run, so what counts is the growth over what the process held at a run's start, once freed
memory is returned to the system; the system's own high-water mark is reset there.
"""

import ctypes
import gc
import re
import time
from pathlib import Path

import torch

CLEAR_REFS, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
RESET_PEAK = "5"  # proc_pid_clear_refs(5): set the peak of resident memory to its present value


class PeakMemory:
    """Counts from its creation on."""

    def __init__(self) -> None:
        gc.collect()
        self._on_gpu = torch.cuda.is_available()
        if self._on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self._before: int | None = torch.cuda.memory_allocated()
            return
        _return_freed()
        self._before = _status("VmRSS") if _reset_peak() else None

    def bytes(self) -> int | None:
        """Return the highest growth since; None where it cannot be told."""
        peak = torch.cuda.max_memory_allocated() if self._on_gpu else _status("VmHWM")
        return None if self._before is None or peak is None else max(0, peak - self._before)


class Spent:
    """Wall-clock time and peak memory of a run from its creation on, and of the parts before it was interrupted."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._memory = PeakMemory()
        self._peak: int | None = None

    def add(self, seconds: float, peak_memory: int | None) -> None:
        """Count what the parts before took."""
        self._started -= seconds
        self._peak = peak_memory

    def seconds(self) -> float:
        """Return the time so far."""
        return time.perf_counter() - self._started

    def peak_memory(self) -> int | None:
        """Return the highest of all parts, in bytes; None where it cannot be told."""
        return max((peak for peak in (self._peak, self._memory.bytes()) if peak is not None), default=None)


def load_torch() -> None:
    """Let torch start its threads and import what it imports late (the optimizer's parts): no run's cost."""
    layer = torch.nn.Linear(256, 256)
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
    loss = torch.nn.functional.cross_entropy(layer(torch.randn(256, 256)), torch.zeros(256, dtype=torch.long))
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
    optimizer.step()


def _return_freed() -> None:
    """Return freed memory to the system, where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def _reset_peak() -> bool:
    """Reset the peak of resident memory; whether the system lets us."""
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
    except OSError:
        return False
    return True


def _status(key: str) -> int | None:
    """Return a size from the process' status, in bytes; None where the system has none."""
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
