"""Decide whether a run whose attempt failed is tried again."""

from collections import Counter

from mta_lab.results.failures import Kind, Retry


class Retries:
    """Counts the failed attempts of one launch; the next launch counts anew."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._failed = Counter[tuple[str, Kind]]()

    def again(self, fingerprint: str, kind: Kind) -> bool:
        """Count a failed attempt of a run; return whether the run is to be tried again."""
        self._failed[fingerprint, kind] += 1
        return self._failed[fingerprint, kind] <= self._retry.get(kind, 0)
