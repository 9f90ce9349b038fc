"""Let as many workers share a GPU as there are memory, idle time and cores for."""

from collections.abc import Sequence

from mta_lab.config import RunConfig, plain
from mta_lab.planning.by_arithmetic import operations_of
from mta_lab.planning.estimates import step_of
from mta_lab.results.records import Record
from mta_lab.training.sizes import GPU_SHARE, step_memory

MOST = 8  # workers a GPU: more take turns on it with little left to gain
PROCESS = 1e9  # bytes of a GPU that a process has before it trains: its context, and what libraries load
FILLS = 5e11
"""operations of a pass that keep a GPU busy for the 5 ms in which
a CPU starts its kernels, at 100 TFLOP/s; both by arithmetic"""


def workers_a_gpu(
    configs: Sequence[RunConfig], history: Sequence[Record], *, gpu: str, free: float | None, cores: int
) -> int:
    """Return how many workers share a GPU, so that the largest run of `configs` fits beside itself.

    Args:
        configs: a configuration of each row.
        history: finished runs; those of the same steps on this kind of GPU say what a run takes,
            and arithmetic where there are none.
        gpu: the GPU's name.
        free: bytes of its memory that are free; None where that is not known: a worker alone.
        cores: of the CPU, for each GPU.
    """
    if free is None or not configs:
        return 1
    peaks = _peaks(history, gpu)
    needs = max(peaks.get(step_of(plain(one))) or _by_arithmetic(one) for one in configs)
    operations = max(operations_of(one, one.training.sequences_a_pass) for one in configs)
    return max(1, min(MOST, cores, int(GPU_SHARE * free / (PROCESS + needs)), int(FILLS / operations)))


def _peaks(history: Sequence[Record], gpu: str) -> dict[str, int]:
    """Return the most bytes that a run took on this kind of GPU, by what decides its step."""
    peaks: dict[str, int] = {}
    for record in history:
        if record.peak_memory is not None and record.machine == gpu:
            step = step_of(record.config)
            peaks[step] = max(record.peak_memory, peaks.get(step, 0))
    return peaks


def _by_arithmetic(config: RunConfig) -> int:
    return step_memory(config, config.training.sequences_a_pass).total
