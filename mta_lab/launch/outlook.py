"""The progress of a launch, the time that the rest may take, and the busy share of its slots."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from mta_lab.words import duration


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """The progress of a launch."""

    runs: int
    """to train, as far as they are known in advance"""
    ended: int
    """of these"""
    steps: int
    """optimizer steps of all that is to train;
    those that failed and pruned runs leave out are not counted"""
    done: int
    """of these"""
    seconds_left: float | None
    """that the rest may take; None as long as that is a guess"""
    busy: float | None
    """share of the slots' time since the first start that went to ended attempts;
    None where none was made"""

    @property
    def left(self) -> str:
        """Return `about 3.3 min left`, or nothing as long as that is a guess."""
        return "" if self.seconds_left is None else f"about {duration(self.seconds_left)} left"


class Tally:
    """Counts the optimizer steps and the time of a launch."""

    def __init__(self, steps: Sequence[int]) -> None:
        """Begin; `steps` are those of each run to train."""
        self.slots = 1
        self._reached: dict[int, int] = {}  # the step of the run of each slot
        self._under_way = 0  # steps of all of them
        self._runs, self._ended = len(steps), 0
        self._total, self._done = sum(steps), 0
        self._first: float | None = None
        self._started: dict[int, float] = {}
        self._spent = 0.0  # seconds, of attempts that have ended

    def start(self, slot: int) -> None:
        """Count from here: a slot took a run. Before the first start nothing is warm."""
        self._started[slot] = time.monotonic()
        self._first = self._first or self._started[slot]

    def advance(self, slot: int, step: int) -> None:
        """Note the step that the run of a slot has reached."""
        self._under_way += step - self._reached.get(slot, 0)
        self._reached[slot] = step

    def end(self, slot: int, steps: int, done: int) -> None:
        """Count a run that ended after `done` of its `steps`; the remaining steps are dropped."""
        self.release(slot)
        self._ended += 1
        self._total -= steps - done
        self._done += done

    def drop(self, steps: int) -> None:
        """Count a run of so many steps as ended that had not started."""
        self._ended += 1
        self._total -= steps

    def release(self, slot: int) -> None:
        """Count the time of an attempt that has ended, and none of its steps."""
        self._under_way -= self._reached.pop(slot, 0)
        self._spent += time.monotonic() - self._started.pop(slot)

    def outlook(self) -> Outlook:
        """Return how far the launch is now."""
        left = busy = None
        done = self._done + self._under_way
        if self._first is not None and (passed := time.monotonic() - self._first):
            busy = self._spent / (self.slots * passed)
            if done > 0.01 * self._total:  # both are 0 where every run has failed
                left = passed * (self._total - done) / done
        return Outlook(runs=self._runs, ended=self._ended, steps=self._total, done=done, seconds_left=left, busy=busy)
