"""Decide whether a run whose attempt failed is tried again, and how much it then reads."""

from collections import Counter

from mta_lab.executors.base import Failed
from mta_lab.planning.runs import Run
from mta_lab.results.failures import Kind, Retry


class Retries:
    """Counts the failed attempts of one launch; the next launch counts anew."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._failed = Counter[tuple[str, Kind]]()
        self._micro_batches: dict[str, int] = {}

    def again(self, run: Run, failed: Failed) -> bool:
        """Count a failed attempt of a run; return whether the run is to be tried again.

        Out of memory, it reads half as much at a time, which computes the same. Such an attempt is
        not counted, as it ends at one sequence.
        """
        allowed, micro_batch = self._retry.get(failed.kind, 0), failed.micro_batch or 1
        if failed.kind == "out_of_memory" and micro_batch > 1 and allowed:
            self._micro_batches[run.fingerprint] = _half(micro_batch, run.config.training.batch_size)
            return True
        self._failed[run.fingerprint, failed.kind] += 1
        return self._failed[run.fingerprint, failed.kind] <= allowed

    def micro_batch(self, run: Run) -> int | None:
        """Return how much a run reads at a time after it was out of memory; else None."""
        return self._micro_batches.get(run.fingerprint)


def _half(micro_batch: int, batch_size: int) -> int:
    """Return the largest number up to half of `micro_batch` that divides the batch."""
    return next(number for number in range(micro_batch // 2, 0, -1) if batch_size % number == 0)
