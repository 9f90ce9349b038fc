"""Warm worker processes on this machine: one pipe each, the dead noticed and replaced."""

import os
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path

from mta_lab.data import content
from mta_lab.devices.visible import environment_of
from mta_lab.executors.base import RunRequest
from mta_lab.executors.local.messages import Message, Setup, Stop
from mta_lab.executors.local.oom import OomKills, oom_counter
from mta_lab.executors.local.worker import Worker
from mta_lab.plugins import plugins_loaded


def threads(workers: int) -> int:
    """Torch threads of each of so many workers, which share the machine's cores.

    So many whatever is left to do: a run that goes on alone has the threads that it had, and the
    same bits.
    """
    return max(1, len(os.sched_getaffinity(0)) // workers)


class Pool:
    """So many worker processes, until they are closed; each has one of `devices`, in turn."""

    def __init__(self, workers: int, setup: Setup, logs: Path, devices: Sequence[str] = ()) -> None:
        self._setup, self._logs, self._devices = setup, logs, devices
        self._oom_kills = OomKills(oom_counter())
        self._workers = [self._start(index) for index in range(workers)]

    def close(self) -> None:
        """End all workers at once."""
        for worker in self._workers:
            worker.connection.close()
            worker.process.kill()  # what should be kept has been, and SIGTERM would wait for the end of a step
        for worker in self._workers:
            worker.process.join()

    def send(self, worker: int, message: RunRequest | Stop) -> None:
        """Hand a run to a ready worker, or stop its run; raise OSError if it is gone."""
        self._workers[worker].connection.send(message)

    def kill(self, worker: int) -> None:
        """End a worker that may not listen any more: it may hang in native code."""
        self._workers[worker].process.kill()

    def leave_out(self, host: str) -> bool:
        """Return that no other host is left."""
        return False

    def poll(self, seconds: float) -> list[tuple[int, Message]]:
        """Return at most one message of each worker; wait at most `seconds` for the first.

        A worker that died is replaced; its last word is Died.
        """
        connections = {worker.connection: index for index, worker in enumerate(self._workers)}
        ready = wait(list(connections), timeout=seconds)
        self._oom_kills.look()
        return [(index := connections[connection], self._heard(index)) for connection in ready]  # type: ignore[index]

    def _heard(self, index: int) -> Message:
        worker = self._workers[index]
        try:
            return worker.connection.recv()
        except (EOFError, OSError):
            died = worker.bury(self._oom_kills)
            self._workers[index] = self._start(index)
            return died

    def _start(self, index: int) -> Worker:
        setup = replace(self._setup, plugins=plugins_loaded(), texts=content.known())
        return Worker(index, setup, self._logs, environment_of(index, self._devices))
