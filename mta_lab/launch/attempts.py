"""The attempts that are under way, and whether one that failed is followed by another."""

import time
from collections import Counter
from datetime import UTC, datetime

from mta_lab.results.failures import Attempt, Kind, Retry


class Attempts:
    """What a launch knows of the attempts it makes, one a worker at a time."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._started: dict[int, float] = {}
        self._first: float | None = None
        self._spent = 0.0  # seconds, of attempts that have ended
        self._steps: dict[int, int] = {}
        self._failed = Counter[tuple[str, Kind]]()  # in this launch: interrupted, the next one counts anew

    def start(self, worker: int) -> None:
        """A worker begins one: its time counts from here."""
        self._started[worker] = time.monotonic()
        self._first = self._first or self._started[worker]
        self._steps.pop(worker, None)

    def advance(self, worker: int, step: int) -> None:
        """It has come to `step`."""
        self._steps[worker] = step

    def end(self, worker: int) -> None:
        """It has ended, whatever its end."""
        self._spent += time.monotonic() - self._started[worker]

    def busy_share(self, workers: int) -> float | None:
        """The part of `workers`' time since the first start that went to ended attempts; None where none was made."""
        if self._first is None:
            return None
        return self._spent / (workers * (time.monotonic() - self._first))

    def failed(self, worker: int, fingerprint: str, kind: Kind, reason: str) -> tuple[Attempt, bool]:
        """Its attempt at a run failed, as this says; whether the run is to be tried again."""
        self._failed[fingerprint, kind] += 1
        again = self._failed[fingerprint, kind] <= self._retry.get(kind, 0)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Attempt(kind=kind, reason=reason, ended=now, step=self._steps.get(worker)), again
