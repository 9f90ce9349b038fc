"""The relay: it holds a place on a Ray cluster, and starts a worker process there.

Ray makes an actor of it. The worker process is the one of `executors.local`, so its log, its exit
code and its end for lack of memory are known as they are on one machine, and torch never runs
inside of Ray. The relay itself imports no torch: it passes on what the two sides pickled.
"""

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

from mta_lab.executors.base import RunRequest
from mta_lab.executors.local.messages import Arrived, Message, Setup, Stop
from mta_lab.executors.local.oom import OomKills, oom_counter
from mta_lab.executors.local.process import work
from mta_lab.executors.local.worker import Worker
from mta_lab.executors.places import host
from mta_lab.executors.ray.listening import PRELOAD, without

PATIENCE = 60.0  # seconds that a call waits for a message: no connection is idle for long, and calls are few
PARENT_DIES = 1  # PR_SET_PDEATHSIG of prctl(2)
OWN = ("OMP_NUM_THREADS", "RAY_AUTH_TOKEN", "MLFLOW_TRACKING_")
"""beginnings of the variables that a worker does not take over from Ray: Ray sets the number of
threads itself, with which results would have other bits; the others are secrets"""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The driver's surroundings that its workers have, too."""

    directory: Path
    """the workspace, at the same path on each machine"""
    environment: Mapping[str, str]


class Relay:
    """A place, and the worker process in it; both end together."""

    def __init__(self, number: int, setup: Setup, logs: Path, surroundings: Surroundings) -> None:
        """Start worker `number`."""
        os.chdir(surroundings.directory)
        for name in [name for name in os.environ if name.startswith(OWN)]:
            del os.environ[name]
        if preload := os.environ.get(PRELOAD):  # the worker trains, and needs no library that is for servers
            os.environ[PRELOAD] = without(preload)
        os.environ.update(surroundings.environment)
        self._kills = OomKills(oom_counter())
        self._told = [pickle.dumps(Arrived(host=host()))]
        with _no_main():
            self._worker = Worker(number, setup, logs, work=work_while_relayed)

    def poll(self) -> list[bytes]:
        """Return the worker's messages since the last call; wait for one for a while.

        After its death, the last one is Died.
        """
        messages, self._told = self._told, []
        try:
            while self._worker.connection.poll(0 if messages else PATIENCE):
                messages.append(self._worker.connection.recv_bytes())
        except (EOFError, OSError):
            messages.append(pickle.dumps(self._worker.bury(self._kills)))
        self._kills.look()
        return messages

    def send(self, message: bytes) -> None:
        """Pass on a message to the worker; raise OSError if it is gone, of which `poll` tells."""
        self._worker.connection.send_bytes(message)

    def kill(self) -> None:
        """End the worker, which may hang in native code."""
        self._worker.process.kill()


def work_while_relayed(connection: "Connection[Message, RunRequest | Stop]", setup: Setup, log: Path) -> None:
    """Serve runs, and die with the relay, even in native code.

    Its run is then given to another worker, beside which this one must not go on.
    """
    relay = multiprocessing.parent_process()
    ctypes.CDLL(None).prctl(PARENT_DIES, signal.SIGKILL)
    if relay is None or os.getppid() != relay.pid:  # it died before that
        os._exit(1)
    work(connection, setup, log)


@contextmanager
def _no_main() -> Iterator[None]:
    """Have processes that are started meanwhile not run the program of this one, which is Ray's."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program
