"""Show a launch as plain lines, for a log or a notebook."""

import time
from collections.abc import Callable

from mta_lab.launch.events import (
    Event,
    LaunchEnded,
    Note,
    RunFailed,
    RunFinished,
    RunProgressed,
    RunPruned,
    RunRequeued,
    RunStarted,
    RunStopped,
)
from mta_lab.launch.outlook import Outlook
from mta_lab.words import counted, duration

SIGN_OF_LIFE = 30.0  # seconds between two lines on progress


class Lines:
    """A listener that prints the start and end of each run, and its progress every half minute."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last = time.monotonic()

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Print a line on the event, if it is one to be shown."""
        line = line_of(event, outlook)
        match event:
            case RunStarted():
                line = f"worker {event.slot}: {event.run.label} started"
            case RunProgressed() if time.monotonic() - self._last > SIGN_OF_LIFE:
                self._last = time.monotonic()
                step, steps = event.progress.step, event.run.config.training.steps
                where = f"{event.run.label} step {step}/{steps} loss {event.progress.loss:.3f}"
                line = f"worker {event.slot}: {where}; {count_of(outlook)}"
            case RunFinished() | RunFailed() | RunPruned() | RunStopped(slot=int()):
                line = f"worker {event.slot}: {line}; {count_of(outlook)}"
        if line:
            self._say(line)


class Progress:
    """Prints how far a piece of work is, and the time that it still takes, every half minute."""

    def __init__(self, say: Callable[[str], None], label: str) -> None:
        self._say, self._label = say, label
        self._began = self._last = time.monotonic()
        self._before: int | None = None
        """the part that was done before this began, by a process that was killed"""

    def advance(self, done: int, total: int) -> None:
        """Hear how much is done."""
        now = time.monotonic()
        if self._before is None:
            self._before, self._began = done, now
        elif now - self._last > SIGN_OF_LIFE and done > self._before:
            self._last = now
            left = (now - self._began) * (total - done) / (done - self._before)
            self._say(f"{self._label}: {done / total:.0%}, about {duration(left)} left")


def count_of(outlook: Outlook) -> str:
    """Return how many runs have ended, and the time that the rest may take, in words."""
    return ", ".join(filter(None, [f"{outlook.ended}/{counted(outlook.runs, 'run')}", outlook.left]))


def line_of(event: Event, outlook: Outlook) -> str:
    """Return the line on an event that every display prints; empty if there is none."""
    match event:
        case Note():
            return event.text
        case RunFinished(record=record):
            speed = f"{record.tokens_per_second:,.0f} tokens/s, " if record.tokens_per_second else ""  # of no steps
            return f"{event.run.label}: {record.quantity} {record.score:.3f}, {speed}{duration(record.seconds)}"
        case RunFailed():
            return f"{event.run.label} FAILED: {event.failure.reason}"
        case RunPruned(validation=last):
            return f"{event.run.label}: pruned at step {last.step}, {last.quantity} {last.score:.3f}"
        case RunStopped(step=step):
            return f"{event.run.label}: stopped at step {step}, as asked; the next launch goes on with it"
        case RunRequeued(slot=int(), failure=failure) if failure:
            return f"worker {event.slot}: {event.run.label} {failure.kind}: {event.reason}; it is tried again"
        case RunRequeued(slot=int(), step=int()):
            return f"worker {event.slot}: {event.run.label}: {event.reason}; the run goes on from there"
        case LaunchEnded() if outlook.busy is not None and event.outcome != "interrupted":
            return f"the workers were busy {outlook.busy:.1%} of the time since the first run started"
    return ""
