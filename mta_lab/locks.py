"""Locks of directories that hold on one machine and between machines.

The system's own lock (flock) ends with its process, but on some network mounts it does nothing, or
holds on one host only. So whoever has it leaves a note beside it with host, process and time, and
touches the note as long as it lives: another host believes it while it is young.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from mta_lab.atomic import link_refused, replacing
from mta_lab.strict import FaultError, as_json, built, content
from mta_lab.words import duration
from mta_lab.workspace import in_shell

BEAT = 15.0  # seconds between two touches of a note
OLD = 120.0  # seconds without a touch, after which whoever left the note on another host is gone
MOST = 1000  # bytes of a note

_held = set[Path]()


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The process that has a lock, as its note says."""

    host: str
    process: int
    since: float
    """seconds since 1970"""

    @property
    def words(self) -> str:
        """Return `process 1234 on host gpu07, for 12 min`."""
        return f"process {self.process} on host {self.host}, for {duration(max(0.0, time.time() - self.since))}"


class HeldError(Exception):
    """Another process has the lock; its text says which."""

    def __init__(self, holder: Holder | None, lock: Path) -> None:
        super().__init__(holder.words if holder else "another process")
        there = holder is None or holder.host == socket.gethostname()
        note = in_shell(_note(lock))
        lapses = f"; if that host is gone, its lock lapses after {OLD / 60:.0f} min, or type: rm {note}"
        self.remedy = "" if there else lapses
        """what to do if it is gone, behind a semicolon; empty where the system would notice"""


@contextmanager
def holding(lock: Path, seconds: float = 0.0) -> Iterator[None]:
    """Hold a lock while the context is open.

    Raises:
        HeldError: another process has it, still after so many `seconds`.
        OSError: its file cannot be written.
    """
    system = FileLock(lock)
    with link_refused(lock):
        try:
            system.acquire(timeout=seconds)
        except Timeout:
            raise HeldError(_holder(lock), lock) from None
    try:
        os.utime(lock)  # by the clock of the file's server, as its note is
        if (holder := _holder(lock)) and _lives(holder, lock, lock.stat().st_mtime):
            raise HeldError(holder, lock)
        with _noted(lock):
            yield
    finally:
        system.release()


def holder_elsewhere(lock: Path) -> Holder | None:
    """Return the process that has the lock as its note says, which the system need not know."""
    holder = _holder(lock)
    return holder if holder and _lives(holder, lock, time.time()) else None


def held_here(lock: Path) -> bool:
    """Return whether this process holds the lock."""
    return lock.absolute() in _held


def _note(lock: Path) -> Path:
    return lock.with_name(f"{lock.name}.holder")


def _holder(lock: Path) -> Holder | None:
    """Return who has left a note; None without one, or where it cannot be read."""
    try:
        holder = built(Holder, as_json(content(_note(lock), MOST)))
    except (OSError, FaultError):
        return None
    return holder if holder.process > 0 and holder.since > 0 else None


def _lives(holder: Holder, lock: Path, now: float) -> bool:
    """Return whether the holder may still be there at the time `now` of the lock's file system."""
    if holder.host == socket.gethostname():
        if holder.process == os.getpid():
            return False
        try:  # a number that another process has by now was given later
            process = psutil.Process(holder.process)
            return bool(process.create_time() < holder.since and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False
    try:
        return now - _note(lock).stat().st_mtime < OLD
    except OSError:
        return False


@contextmanager
def _noted(lock: Path) -> Iterator[None]:
    """Leave a note while the context is open, and touch it now and then."""
    mine, over = Holder(host=socket.gethostname(), process=os.getpid(), since=time.time()), threading.Event()
    with suppress(OSError), replacing(_note(lock)) as file:  # on a full disk the system's own lock has to do
        file.write(json.dumps(asdict(mine)).encode())

    def touch() -> None:
        while not over.wait(BEAT):
            with suppress(OSError):
                os.utime(_note(lock))

    threading.Thread(target=touch, name=f"holds {lock.name}", daemon=True).start()
    _held.add(lock.absolute())
    try:
        yield
    finally:
        over.set()
        _held.discard(lock.absolute())
        if _holder(lock) == mine:
            _note(lock).unlink(missing_ok=True)
