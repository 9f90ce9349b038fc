"""What a launch is doing, in one small file that other processes may read; removed at its end."""

import json
import os
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mta_lab.atomic import replacing
from mta_lab.errors import UserError
from mta_lab.launch.clock import Clock, steps_done
from mta_lab.results.records import Failure, Record
from mta_lab.strict import FaultError, OtherFieldsError, as_json, built, content

if TYPE_CHECKING:
    from mta_lab.launch.loop import Observer
    from mta_lab.planning.runs import Run
    from mta_lab.results.states import State
    from mta_lab.sweep import Sweep
    from mta_lab.training.result import Progress, Validation

FILE = "launch.json"
LATEST = 1e11  # seconds since 1970, and more steps than a run has
INTERVAL = 1.0  # seconds between two writings, at least


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
    """how many runs of each row are in each state; empty for a search, whose runs are not known in advance"""
    ended: Mapping[str, int]
    """how many runs of this launch have finished, failed or been pruned"""
    workers: Sequence[Busy]


def launch_status(directory: Path) -> LaunchStatus | None:
    """Return what the launch in a results directory last told, whether it still runs or was killed; None without one.

    Raises UserError where its file, not another version's, is not as a launch writes it.
    """
    path = directory / FILE
    try:
        found = built(LaunchStatus, as_json(content(path)))
        numbers = [found.since, *(number for busy in found.workers for number in (busy.since, busy.step, busy.steps))]
        if not all(0 <= number < LATEST for number in numbers):
            raise FaultError("since, step, steps: allowed: 0 or more")
        return found
    except (OSError, OtherFieldsError):  # there is none, or it is another version's
        return None
    except FaultError as error:
        remedy = f"a launch that runs writes it anew, else: rm {shlex.quote(str(path))}"
        raise UserError(f"{path}: cannot be read ({error}); {remedy}") from None


@contextmanager
def status_file(
    observer: "Observer",
    sweep: "Sweep",
    runs: Sequence["Run"],
    found: Mapping[str, "State"],
    pending: Sequence["Run"],
    directory: Path,
    command: str,
) -> Iterator["StatusFile"]:
    """An observer in place of `observer`, which passes on what it hears and keeps the launch's file in `directory`.

    `found` are the states of `runs` at the start, `command` is what a user typed.
    """
    clock = Clock([run.config.training.steps for run in pending])
    beacon = StatusFile(observer, sweep, runs, dict(found), clock, directory / FILE, command)
    beacon.tell()
    try:
        yield beacon
    finally:
        beacon.path.unlink(missing_ok=True)


class StatusFile:
    """An observer that writes down what another observer shows."""

    def __init__(
        self,
        inner: "Observer",
        sweep: "Sweep",
        runs: Sequence["Run"],
        found: dict[str, str],
        clock: Clock,
        path: Path,
        command: str,
    ) -> None:
        self.path, self._command = path, command
        self._inner, self._sweep, self._runs, self._states, self._clock = inner, sweep, runs, found, clock
        self._since = time.time()
        self._busy: dict[int, Busy] = {}
        self._ended = Counter[str]()
        self._told = 0.0

    def say(self, message: str) -> None:
        """A line worth reading."""
        self._inner.say(message)

    def started(self, worker: int, run: "Run") -> None:
        """A worker took a run."""
        self._inner.started(worker, run)
        self._clock.start()
        self._at(worker, run)

    def advanced(self, worker: int, run: "Run", progress: "Progress") -> None:
        """A run has come further."""
        self._inner.advanced(worker, run, progress)
        self._clock.running[worker] = progress.step
        self._at(worker, run, since=self._busy[worker].since, step=progress.step, loss=progress.loss)

    def ended(self, worker: int, run: "Run", result: Record | Failure) -> None:
        """A run finished or failed."""
        self._inner.ended(worker, run, result)
        self._end(worker, run, steps_done(run, result), "failed" if isinstance(result, Failure) else "finished")

    def stopped(self, worker: int, run: "Run", last: "Validation") -> None:
        """A trial was ended early."""
        self._inner.stopped(worker, run, last)
        self._end(worker, run, last.step, "pruned")

    def released(self, worker: int) -> None:
        """A worker's run is to be tried again, there or elsewhere."""
        self._inner.released(worker)
        self._clock.running.pop(worker, None)
        self._busy.pop(worker, None)
        self._tell_in_time()

    def tell(self) -> None:
        """Write the file; a disk that takes nothing is no reason to end a launch."""
        running = {busy.fingerprint for busy in self._busy.values()}
        rows: dict[str, Counter[str]] = {}
        for run in self._runs:
            state = "running" if run.fingerprint in running else self._states[run.fingerprint]
            rows.setdefault(run.row, Counter())[state] += 1
        status = LaunchStatus(
            sweep=self._sweep.name,
            scale=self._sweep.conditions,
            command=self._command,
            process=os.getpid(),
            since=self._since,
            left=self._clock.left() if self._runs else "",
            rows={row: dict(counts) for row, counts in rows.items()},
            ended=dict(self._ended),
            workers=[self._busy[worker] for worker in sorted(self._busy)],
        )
        self._told = time.monotonic()
        with suppress(OSError), replacing(self.path, private=True) as file:
            file.write(json.dumps(asdict(status)).encode())

    def _at(self, worker: int, run: "Run", *, since: float = 0.0, step: int = 0, loss: float | None = None) -> None:
        self._busy[worker] = Busy(
            worker=worker,
            fingerprint=run.fingerprint,
            label=run.label,
            since=since or time.time(),
            steps=run.config.training.steps,
            step=step,
            loss=loss,
        )
        self._tell_in_time()

    def _end(self, worker: int, run: "Run", done: int, how: str) -> None:
        self._clock.end(worker, run, done)
        self._busy.pop(worker, None)
        self._states[run.fingerprint] = how
        self._ended[how] += 1
        self._tell_in_time()

    def _tell_in_time(self) -> None:
        if time.monotonic() - self._told >= INTERVAL:
            self.tell()
