"""The order in which the runs of a plan start."""

import heapq
import math
from collections import deque
from collections.abc import Iterable, Mapping

from mta_lab.planning.runs import Run


class Order:
    """Runs that may start: by seed, and within a seed the row that takes longest.

    So the runs that run last are short, and no worker waits long for another at the end. Rows that
    nothing is known about go first, in the order in which they came. Each step takes a time that
    hardly grows with the number of runs.
    """

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._seeds: dict[int, _Seed] = {}
        self._open: list[tuple[int, _Seed]] = []  # a heap: seeds that have runs, as they came
        self._seconds: dict[str, float] = {}  # what a row's last run took
        self._left = 0
        for run in runs:
            self.add(run)

    def __len__(self) -> int:
        return self._left

    def add(self, run: Run) -> None:
        """Let a run start, too."""
        seed = self._seeds.setdefault(run.seed, _Seed(len(self._seeds), self._seconds))
        if not seed.left:
            heapq.heappush(self._open, (seed.place, seed))
        seed.add(run)
        self._left += 1

    def pop(self) -> Run:
        """Take out the run to start next; raise IndexError if there is none."""
        _, seed = self._open[0]
        run = seed.pop()
        self._left -= 1
        if not seed.left:
            heapq.heappop(self._open)
        return run

    def learn(self, row: str, seconds: float) -> None:
        """Note what a run of the row took."""
        self._seconds[row] = seconds
        for _, seed in self._open:
            seed.learn(row)


class _Seed:
    """The runs of one seed, by row; `seconds` is what rows are known to take."""

    def __init__(self, place: int, seconds: Mapping[str, float]) -> None:
        self.place, self.left, self._seconds = place, 0, seconds
        self._rows: dict[str, deque[Run]] = {}
        self._numbers: dict[str, int] = {}  # of rows, in the order in which they came
        self._heap: list[tuple[float, int, str]] | None = None  # made when the seed's turn has come

    def add(self, run: Run) -> None:
        self._rows.setdefault(run.row, deque()).append(run)
        self._numbers.setdefault(run.row, len(self._numbers))
        self.left += 1
        self.learn(run.row)

    def learn(self, row: str) -> None:
        if self._heap is not None and self._rows.get(row):
            heapq.heappush(self._heap, self._entry(row))

    def pop(self) -> Run:
        if self._heap is None:
            self._heap = [self._entry(row) for row in self._rows]
            heapq.heapify(self._heap)
        while True:
            entry = self._heap[0]
            runs, now = self._rows[entry[-1]], self._entry(entry[-1])
            if runs and entry == now:
                self.left -= 1
                return runs.popleft()
            if runs:  # something else is known of the row by now
                heapq.heapreplace(self._heap, now)
            else:
                heapq.heappop(self._heap)

    def _entry(self, row: str) -> tuple[float, int, str]:
        return -self._seconds.get(row, math.inf), self._numbers[row], row
