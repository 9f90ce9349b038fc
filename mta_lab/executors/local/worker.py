"""A worker process, from its start to its burial.

It imports nothing slow, so that a process that only relays for a worker stays small.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path

from mta_lab.atomic import open_log
from mta_lab.children import safe_path, variables
from mta_lab.executors.base import RunRequest
from mta_lab.executors.local.messages import Died, Message, Setup, Stop
from mta_lab.executors.local.oom import OomKills, death
from mta_lab.executors.local.process import TERMINATION, work

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
"""variables that a worker starts with, unless the user has set them"""
WORKER = "mta-lab worker"  # begins the name of each process
CONTEXT = multiprocessing.get_context("spawn")
Work = Callable[["Connection[Message, RunRequest | Stop]", Setup, Path], None]


class Worker:
    """The process of worker `number`, which prints to its log in `logs`."""

    def __init__(
        self, number: int, setup: Setup, logs: Path, devices: Mapping[str, str] | None = None, work: Work = work
    ) -> None:
        """Start it; `devices` are the variables that give it its own."""
        ours, theirs = CONTEXT.Pipe()
        self.connection: Connection[RunRequest | Stop, Message] = ours
        self.log = logs / f"worker-{number}.log"
        open_log(self.log).close()  # here, where it can be said that it is a link
        self._printed_before = self.log.stat().st_size  # by workers before it
        name = f"{WORKER} {number}"
        self.process = CONTEXT.Process(target=work, args=(theirs, setup, self.log), name=name, daemon=True)
        for variable, value in ENVIRONMENT.items():  # read by the child's C libraries before its first line of Python
            os.environ.setdefault(variable, value)
        with safe_path(), variables(devices or {}):
            before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            resource_tracker.ensure_running()  # or else the first start of a process does it, and unblocks SIGTERM
            # Blocked in all of its threads: by one that takes SIGTERM, Lightning would hear of it
            # and drop the run. And Ctrl-C, which the launch answers, would end it while it starts.
            signal.pthread_sigmask(signal.SIG_BLOCK, {*TERMINATION, signal.SIGINT})
            self.process.start()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def bury(self, kills: OomKills) -> Died:
        """Return how it died, after its connection has ended."""
        self.connection.close()
        self.process.join()
        code = self.process.exitcode or 0
        kind, how = death(code, kills)
        return Died(
            kind=kind,
            by_itself=code not in (-signal.SIGKILL, -signal.SIGTERM),
            reason=f"the worker process died ({how})",
            log=self.log,
            printed=self._printed(),
        )

    def _printed(self) -> str:
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[self._printed_before :].decode(errors="replace")
