"""The state of a launch, in one small file that other processes may read; removed at its end."""

import json
import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mta_lab.atomic import replacing
from mta_lab.errors import UserError
from mta_lab.launch.events import (
    Event,
    RunFailed,
    RunFinished,
    RunProgressed,
    RunPruned,
    RunRequeued,
    RunStarted,
    RunStopped,
)
from mta_lab.launch.outlook import Outlook
from mta_lab.strict import FaultError, OtherFieldsError, as_json, built, content
from mta_lab.workspace import LAUNCH_STATUS, in_shell

if TYPE_CHECKING:
    from mta_lab.planning.runs import Run
    from mta_lab.results.states import State
    from mta_lab.sweep import Sweep
    from mta_lab.training.result import Progress

LATEST = 1e11  # seconds since 1970, and more steps than a run has
INTERVAL = 1.0  # seconds between two writings, at least
SHARE = 0.01  # of the time goes to writing, at most: with a thousand workers, or on a slow disk


@dataclass(frozen=True, kw_only=True)
class Busy:
    """A worker and its run."""

    worker: int
    fingerprint: str
    label: str
    since: float
    """seconds since 1970"""
    steps: int
    """planned"""
    step: int = 0
    loss: float | None = None
    """nats a token, mean since the report before"""
    host: str = ""
    """the machine's name in its network; empty where it is not known, as what follows"""
    device: str = ""
    """what it computes on, in words"""


@dataclass(frozen=True, kw_only=True)
class LaunchStatus:
    """A launch as its file tells of it."""

    sweep: str
    scale: str
    """with the settings that the command line changes"""
    command: str
    """which began it, and goes on with it"""
    process: int
    since: float
    """seconds since 1970"""
    left: str
    """how long it may still take, in words; empty as long as that is a guess"""
    rows: Mapping[str, Mapping[str, int]]
    """how many runs of each row are in each state;
    empty for a search, whose runs are not known in advance"""
    ended: Mapping[str, int]
    """how many runs of this launch have finished, failed, been pruned or stopped"""
    workers: Sequence[Busy]


def launch_status(directory: Path) -> LaunchStatus | None:
    """Return what the launch in a results directory last told; None without one.

    It says whether the launch still runs or was killed.

    Raises UserError where its file, not another version's, is not as a launch writes it.
    """
    path = directory / LAUNCH_STATUS
    try:
        found = built(LaunchStatus, as_json(content(path)))
        numbers = [found.since, *(number for busy in found.workers for number in (busy.since, busy.step, busy.steps))]
        if not all(0 <= number < LATEST for number in numbers):
            raise FaultError("since, step, steps: allowed: 0 or more")
        return found
    except (OSError, OtherFieldsError):  # there is none, or it is another version's
        return None
    except FaultError as error:
        remedy = f"a launch that runs writes it anew, else: rm {in_shell(path)}"
        raise UserError(f"{path}: cannot be read ({error}); {remedy}") from None


@contextmanager
def status_file(
    sweep: "Sweep", runs: Sequence["Run"], found: Mapping[str, "State"], directory: Path, command: str
) -> Iterator["StatusFile"]:
    """Keep the launch's file in `directory` while the context is open; yield its listener.

    `found` are the states of `runs` at the start, `command` is what a user typed.
    """
    file = StatusFile(sweep, runs, dict(found), directory / LAUNCH_STATUS, command)
    file.write("")
    try:
        yield file
    finally:
        file.path.unlink(missing_ok=True)


class StatusFile:
    """A listener that writes down what a launch does."""

    def __init__(self, sweep: "Sweep", runs: Sequence["Run"], found: dict[str, str], path: Path, command: str) -> None:
        self.path, self._command = path, command
        self._sweep, self._found, self._states = sweep, found, dict(found)
        self._rows: dict[str, Counter[str]] = {}  # how many runs of each row are in each state
        self._rows_of: dict[str, list[Counter[str]]] = {}  # those of the rows that share a run
        for run in runs:
            counts = self._rows.setdefault(run.row, Counter())
            counts[found[run.fingerprint]] += 1
            self._rows_of.setdefault(run.fingerprint, []).append(counts)
        self._since = time.time()
        self._busy: dict[int, Busy] = {}  # as it started
        self._progress: dict[int, Progress] = {}  # the last one of each that has come further
        self._ended = Counter[str]()
        self._due = 0.0

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Note what slots do, and write it down now and then: once a second at most."""
        match event:
            case RunStarted():
                self._busy[event.slot] = _busy(event)
                self._move(event.run, "running")
            case RunProgressed():
                self._progress[event.slot] = event.progress
            case RunRequeued(slot=int(slot)):
                self._free(slot)
                self._move(event.run, self._found.get(event.run.fingerprint, "pending"))
            case RunFinished():
                self._end(event, "finished")
            case RunFailed():
                self._end(event, "failed")
            case RunPruned():
                self._end(event, "pruned")
            case RunStopped():
                if event.slot is not None:
                    self._free(event.slot)
                self._move(event.run, self._found.get(event.run.fingerprint, "pending"))
                self._ended["stopped"] += 1
            case _:
                return
        if time.monotonic() >= self._due:
            self.write(outlook.left)

    def write(self, left: str) -> None:
        """Write the file; a disk that takes nothing is no reason to end a launch."""
        started = time.monotonic()
        status = LaunchStatus(
            sweep=self._sweep.name,
            scale=self._sweep.conditions,
            command=self._command,
            process=os.getpid(),
            since=self._since,
            left=left if self._rows else "",
            rows={row: dict(+counts) for row, counts in self._rows.items()},
            ended=dict(self._ended),
            workers=[self._now(worker) for worker in sorted(self._busy)],
        )
        with suppress(OSError), replacing(self.path, private=True) as file:
            file.write(json.dumps(vars(status), default=vars).encode())
        ended = time.monotonic()
        self._due = ended + max(INTERVAL, (ended - started) / SHARE)

    def _end(self, event: RunFinished | RunFailed | RunPruned, how: str) -> None:
        self._free(event.slot)
        self._move(event.run, how)
        self._ended[how] += 1

    def _free(self, slot: int) -> None:
        self._busy.pop(slot, None)
        self._progress.pop(slot, None)

    def _now(self, slot: int) -> Busy:
        busy, progress = self._busy[slot], self._progress.get(slot)
        return replace(busy, step=progress.step, loss=_known(progress.loss)) if progress else busy

    def _move(self, run: "Run", to: str) -> None:
        """Count a run in another state, in each row that shares it; a trial is in none."""
        for counts in self._rows_of.get(run.fingerprint, ()):
            counts[self._states[run.fingerprint]] -= 1
            counts[to] += 1
        self._states[run.fingerprint] = to


def _known(loss: float) -> float | None:
    """Return a loss; None where no step has been made, of which a stage may have none."""
    return None if math.isnan(loss) else loss


def _busy(event: RunStarted) -> Busy:
    run = event.run
    steps = run.config.training.steps
    place = event.place
    return Busy(
        worker=event.slot,
        fingerprint=run.fingerprint,
        label=run.label,
        since=time.time(),
        steps=steps,
        host=place.host if place else "",
        device=place.computes_on if place else "",
    )
