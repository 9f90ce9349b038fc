"""Warm worker processes on this machine: one pipe each, the dead noticed and replaced."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from mta_lab.atomic import open_log
from mta_lab.children import safe_path
from mta_lab.data import content
from mta_lab.devices.visible import environment_of
from mta_lab.executors.base import RunRequest
from mta_lab.executors.local.messages import Died, Message, Setup, Stop
from mta_lab.executors.local.oom import OomKills, death, oom_counter
from mta_lab.executors.local.process import TERMINATION, work
from mta_lab.plugins import plugins_loaded

ENVIRONMENT = {
    # glibc otherwise returns freed activations to the system and faults them in again, which is
    # 10-40 % of a small model's step.
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
    # Torch's idle threads otherwise spin. Beside a program that wants the cores, a run with two
    # threads was 30 times slower.
    "OMP_WAIT_POLICY": "passive",
}
"""what a worker starts with, unless the user has set it"""


def threads(workers: int) -> int:
    """Torch threads of each of so many workers, which share the machine's cores.

    So many whatever is left to do: a run that goes on alone has the threads that it had, and the
    same bits.
    """
    return max(1, len(os.sched_getaffinity(0)) // workers)


WORKER = "mta-lab worker"  # begins the name of each process


class Pool:
    """So many worker processes, until they are closed; each has one of `devices`, in turn."""

    def __init__(self, workers: int, setup: Setup, logs: Path, devices: Sequence[str] = ()) -> None:
        self._setup, self._logs, self._devices = setup, logs, devices
        self._printed: dict[int, int] = {}  # bytes of a worker's log that are those of workers before it
        self._context = multiprocessing.get_context("spawn")
        self._oom_kills = OomKills(oom_counter())
        self._workers = [self._start(index) for index in range(workers)]

    def close(self) -> None:
        """End all workers at once."""
        for process, connection in self._workers:
            connection.close()
            process.kill()  # what should be kept has been, and SIGTERM would wait for the end of a step
        for process, _connection in self._workers:
            process.join()

    def send(self, worker: int, message: RunRequest | Stop) -> None:
        """Hand a run to a ready worker, or stop its run; raise OSError if it is gone."""
        self._workers[worker][1].send(message)

    def kill(self, worker: int) -> None:
        """End a worker that may not listen any more: it may hang in native code."""
        self._workers[worker][0].kill()

    def poll(self, seconds: float) -> list[tuple[int, Message]]:
        """Return at most one message of each worker; wait at most `seconds` for the first.

        A worker that died is replaced; its last word is Died.
        """
        connections = {connection: index for index, (_, connection) in enumerate(self._workers)}
        ready = wait(list(connections), timeout=seconds)
        self._oom_kills.look()
        return [(index := connections[connection], self._heard(index)) for connection in ready]  # type: ignore[index]

    def _heard(self, index: int) -> Message:
        try:
            return self._workers[index][1].recv()
        except (EOFError, OSError):
            return self._bury(index)

    def _start(self, index: int) -> tuple[SpawnProcess, "Connection[RunRequest | Stop, Message]"]:
        ours, theirs = self._context.Pipe()
        log = self._logs / f"worker-{index}.log"
        setup = replace(self._setup, plugins=plugins_loaded(), texts=content.known())
        process = self._context.Process(target=work, args=(theirs, setup, log), name=f"{WORKER} {index}", daemon=True)
        open_log(log).close()  # here, where it can be said that it is a link
        self._printed[index] = log.stat().st_size
        for name, value in ENVIRONMENT.items():  # read by the child's C libraries before its first line of Python
            os.environ.setdefault(name, value)
        with safe_path(), _set(environment_of(index, self._devices)):
            resource_tracker.ensure_running()  # or else the first start of a process does it, and unblocks SIGTERM
            # Blocked in all of its threads: by one that takes SIGTERM, Lightning would hear of it
            # and drop the run. And Ctrl-C, which the launch answers, would end it while it starts.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {*TERMINATION, signal.SIGINT})
            process.start()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return process, ours

    def _bury(self, index: int) -> Died:
        process, connection = self._workers[index]
        connection.close()
        process.join()
        kind, how = death(process.exitcode or 0, self._oom_kills)
        log = self._logs / f"worker-{index}.log"
        printed = log.read_bytes()[self._printed[index] :].decode(errors="replace") if log.exists() else ""
        self._workers[index] = self._start(index)
        by_itself = process.exitcode not in (-signal.SIGKILL, -signal.SIGTERM)
        reason = f"the worker process died ({how})"
        return Died(kind=kind, by_itself=by_itself, reason=reason, log=log, printed=printed)


@contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
