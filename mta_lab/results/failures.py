"""The kinds of failure of an attempt, an exception's kind, and the retries of each kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mta_lab.errors import UserError, nearest

Kind = Literal["exception", "diverged", "out_of_memory", "device", "killed", "lost", "timed_out"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MEANINGS: Mapping[Kind, str] = {
    "exception": "the run raised an error",
    "diverged": "a loss or a score was no finite number",
    "out_of_memory": "memory was refused, or the system killed the worker for the memory that it took",
    "device": "the GPU or its libraries reported an error, after which the worker is replaced",
    "killed": "the worker process died of anything else",
    "lost": "the machine that trained it is gone: taken away, down or out of reach",
    "timed_out": "the attempt took longer than --trial-timeout",
}
Retry = Mapping[Kind, int]
"""how often a launch tries a run again that failed so; 0 where it is not named"""
RETRY: Retry = {"killed": 2, "lost": 5, "out_of_memory": 2, "device": 1}  # a machine that goes says nothing of a run

# What allocators say; torch raises most of it as a plain RuntimeError.
REFUSED = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc")
ALLOCATION = "_alloc_failed"  # how the libraries of a GPU end the same: CUBLAS_STATUS_ALLOC_FAILED
DEVICE = ("cuda error", "cublas_status_", "cudnn_status_", "nccl", "no cuda gpus are available")
"""what CUDA, its libraries and torch say of a GPU that cannot go on"""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt at a run that failed."""

    kind: Kind
    reason: str
    """one line"""
    ended: str
    """when; ISO 8601, UTC"""
    step: int | None
    """optimizer steps that were heard of; None where it failed before the first news"""


def kind_of(error: BaseException) -> Kind:
    """Return what an exception that ended a run counts as."""
    if isinstance(error, FloatingPointError):  # `train` raises it for what is no finite number
        return "diverged"
    said = str(error).lower() if isinstance(error, RuntimeError | OSError) else ""
    if isinstance(error, MemoryError) or any(words in said for words in (*REFUSED, ALLOCATION)):
        return "out_of_memory"
    on_device = any(base.__name__ == "AcceleratorError" for base in type(error).__mro__)  # torch's: slow to import
    return "device" if on_device or any(words in said for words in DEVICE) else "exception"


def read_retry(section: Any, where: str) -> Retry:
    """Return a sweep file's `retry` section over the defaults; raise UserError for a mistake."""
    if not isinstance(section, Mapping | None):
        raise UserError(f"{where}: got {section!r}, allowed: a mapping of {', '.join(KINDS)} to numbers of retries")
    for kind, times in (section or {}).items():
        if kind not in KINDS:
            hint = nearest(str(kind), KINDS) or ";"
            raise UserError(f"{where}.{kind}: no such kind of failure{hint} allowed: {', '.join(KINDS)}")
        if not isinstance(times, int) or isinstance(times, bool) or times < 0:
            raise UserError(f"{where}.{kind}: got {times!r}, allowed: 0 or more")
    return {**RETRY, **(section or {})}
