"""The progress of a launch, and the time that the rest may take."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mta_lab.results.records import Failure, Record
from mta_lab.words import duration

if TYPE_CHECKING:
    from mta_lab.planning.runs import Run


class Clock:
    """The progress of a launch in optimizer steps, and the time that the rest may take."""

    def __init__(self, steps: Sequence[int]) -> None:
        self.total = sum(steps)
        self.ended = 0
        self.running: dict[int, int] = {}
        self._started: float | None = None

    def start(self) -> None:
        """The first run has started: workers are warm, and time counts from here."""
        self._started = self._started or time.monotonic()

    def end(self, worker: int, run: "Run", done: int) -> None:
        """Count the steps that an ended run did; the rest of its steps are no longer to do."""
        self.running.pop(worker, None)
        self.total -= run.config.training.steps - done
        self.ended += done

    @property
    def done(self) -> int:
        """Steps done, of finished and running runs."""
        return self.ended + sum(self.running.values())

    def left(self) -> str:
        """`about 3.3 min left`, or nothing as long as that is a guess."""
        if self._started is None or self.done <= 0.01 * self.total:  # both are 0 where every run has failed
            return ""
        seconds = (time.monotonic() - self._started) * (self.total - self.done) / self.done
        return f"about {duration(seconds)} left"


def steps_done(run: "Run", result: Record | Failure) -> int:
    """All of a finished run; a failed one's count for nothing: they say little of the speed."""
    return 0 if isinstance(result, Failure) else run.config.training.steps
