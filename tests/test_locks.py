"""Locks that hold between hosts, also where the system's own lock does nothing."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta_lab import locks
from mta_lab.data import cache
from mta_lab.errors import UserError
from mta_lab.launch.guards import launch_runs, only_launch
from mta_lab.locks import OLD, HeldError, held_here, holding


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "launch.lock"


@pytest.fixture
def stranger() -> Iterator[int]:
    """Yield the number of a process that lives and is not this one."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid


def left(lock: Path, host: str, process: int, seconds: float = 0.0) -> Path:
    """Leave the note of a process that touched it so many seconds ago."""
    lock.touch()
    note = lock.with_name(f"{lock.name}.holder")
    note.write_text(json.dumps({"host": host, "process": process, "since": time.time() + 1}))
    os.utime(note, (time.time() - seconds,) * 2)
    return note


def test_a_lock_says_who_has_it_and_leaves_nothing_behind(lock: Path) -> None:
    with holding(lock):
        assert held_here(lock)
        (note,) = (path for path in lock.parent.iterdir() if path != lock)
        said = json.loads(note.read_text())
        assert (said["host"], said["process"]) == (socket.gethostname(), os.getpid())
        with pytest.raises(HeldError, match=rf"process {os.getpid()} on host {socket.gethostname()}, for "):
            holding(lock).__enter__()
    assert not held_here(lock)
    assert not note.exists()


def test_a_young_lock_of_another_host_is_refused_with_what_to_type(lock: Path) -> None:
    note = left(lock, "gpu07", 4242)
    assert launch_runs(lock.parent)
    with pytest.raises(UserError) as refused, only_launch(lock.parent):
        pass
    said = str(refused.value)
    assert "another sweep is running here (process 4242 on host gpu07, for " in said
    assert f"if that host is gone, its lock lapses after 2 min, or type: rm {note}" in said
    assert "\n" not in said
    note.unlink()
    with only_launch(lock.parent):
        pass


def test_an_old_lock_of_another_host_is_taken(lock: Path) -> None:
    left(lock, "gpu07", 4242, seconds=OLD + 5)
    assert not launch_runs(lock.parent)
    with holding(lock):
        assert json.loads(lock.with_name("launch.lock.holder").read_text())["process"] == os.getpid()


def test_a_lock_of_this_host_is_refused_as_long_as_its_process_lives(lock: Path, stranger: int) -> None:
    left(lock, socket.gethostname(), stranger, seconds=OLD + 5)
    with pytest.raises(HeldError, match=f"process {stranger} on host") as refused:
        holding(lock).__enter__()
    assert not refused.value.remedy


def test_a_lock_of_a_process_that_is_gone_is_taken(lock: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left(lock, socket.gethostname(), gone.pid)
    assert not launch_runs(lock.parent)
    with holding(lock):
        pass


def test_a_number_that_another_process_has_by_now_holds_nothing(lock: Path, stranger: int) -> None:
    note = left(lock, socket.gethostname(), stranger)
    note.write_text(json.dumps({"host": socket.gethostname(), "process": stranger, "since": 1e9}))
    with holding(lock):
        pass


def test_a_lock_is_touched_as_long_as_it_is_held(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.01)
    with holding(lock):
        note, until = lock.with_name("launch.lock.holder"), time.monotonic() + 30
        os.utime(note, (0, 0))
        while not note.stat().st_mtime:
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        '{"host": 3}',
        "x" * 5000,
        json.dumps({"host": "gpu07", "process": 0, "since": 1e9}),
        json.dumps({"host": "gpu07", "process": 4242, "since": -1e300}),
        json.dumps({"host": socket.gethostname(), "process": -1, "since": 1e9}),
    ],
)
def test_a_damaged_note_holds_nothing(damage: str, lock: Path) -> None:
    left(lock, "gpu07", 4242).write_text(damage)
    with holding(lock):
        pass


def test_who_waits_for_a_text_is_told_for_whom(tmp_path: Path) -> None:
    note = left(tmp_path / cache.LOCK, "gpu07", 4242)
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        note.unlink()

    with cache.lock(tmp_path, hear):
        pass
    (line,) = said
    assert line.startswith("waiting for process 4242 on host gpu07, for ")
    assert f", which prepares {tmp_path}; if that host is gone" in line
