"""A launch as plain lines, for a log or a notebook."""

import time
from collections.abc import Callable, Sequence

from mta_lab.launch.clock import Clock, steps_done
from mta_lab.planning.runs import Run
from mta_lab.results.records import Failure, Record
from mta_lab.training.result import Progress, Validation
from mta_lab.words import counted, duration

SIGN_OF_LIFE = 30.0  # seconds between two lines on a run's progress


class Lines:
    """Plain lines: each run's start and end, and a sign of life every half minute."""

    def __init__(self, say: Callable[[str], None], steps: Sequence[int]) -> None:
        self.say, self._clock, self._runs = say, Clock(steps), len(steps)
        self._ended = 0
        self._last = time.monotonic()

    def started(self, worker: int, run: Run) -> None:
        """Say that a worker took a run."""
        self._clock.start()
        self.say(f"worker {worker}: {run.label} started")

    def advanced(self, worker: int, run: Run, progress: Progress) -> None:
        """Say how far a run is, if that was not said of any for a while."""
        self._clock.running[worker] = progress.step
        if time.monotonic() - self._last > SIGN_OF_LIFE:
            self._last = time.monotonic()
            steps = run.config.training.steps
            where = f"{run.label} step {progress.step}/{steps} loss {progress.loss:.3f}"
            self.say(f"worker {worker}: {where}; {self._ended}/{counted(self._runs, 'run')}, {self._clock.left()}")

    def ended(self, worker: int, run: Run, result: Record | Failure) -> None:
        """Say how a run ended."""
        self._end(worker, run, steps_done(run, result), outcome(run, result))

    def stopped(self, worker: int, run: Run, last: Validation) -> None:
        """Say that a trial was ended early."""
        self._end(worker, run, last.step, pruned(run, last))

    def released(self, worker: int) -> None:
        """Forget a run that its worker is off."""
        self._clock.running.pop(worker, None)

    def _end(self, worker: int, run: Run, done: int, how: str) -> None:
        self._ended += 1
        self._clock.end(worker, run, done)
        self.say(f"worker {worker}: {how}; {self._ended}/{counted(self._runs, 'run')}, {self._clock.left()}")


def pruned(run: Run, last: Validation) -> str:
    """Return one line on a trial that was ended early."""
    return f"{run.label}: pruned at step {last.step}, {last.quantity} {last.score:.3f}"


def outcome(run: Run, result: Record | Failure) -> str:
    """Return one line on how a run ended."""
    if isinstance(result, Failure):
        return f"{run.label} FAILED: {result.reason}"
    return (
        f"{run.label}: {result.quantity} {result.score:.3f}, {result.tokens_per_second:,.0f} tokens/s, "
        f"{duration(result.seconds)}"
    )
