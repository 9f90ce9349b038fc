"""A node of a Ray cluster, or its head, as processes that end with this one; Ray is not imported.

Ray ends at once by SIGTERM, and its runs with it. So this process and all that it starts block the
signals that end it; the worker processes, which let SIGTERM in, keep their runs and say so before
Ray ends.
"""

import ctypes
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from mta_lab.children import python
from mta_lab.executors.ray import listening
from mta_lab.executors.ray.folder import Folder

ENDED = signal.SIGTERM
ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of prctl(2): what Ray leaves behind can be found here
KEEPING = 20.0  # seconds that runs have to be kept; Slurm kills 30 s after its SIGTERM, unless it is set up otherwise
TELLING = 1.0  # seconds in which Ray passes on that they are kept
JOINING = 10.0  # seconds that the head has to answer
LONGEST = 24  # letters of the folder in which Ray's is made: the paths of its sockets have up to 83 more, of 107
GONE = {"RAY_gcs_rpc_server_reconnect_timeout_s": "20"}  # after so many seconds without the head, Ray ends
STARTED = "Ray runtime started"  # as `ray start` says it
STORE = 80_000_000  # bytes of the object store, about the least that Ray takes: no message is large
SYSTEM = {
    # A node that is dead, or cut off, is given up within 15 s; by default that takes a minute.
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 2000,
    "health_check_timeout_ms": 3000,
    "health_check_failure_threshold": 3,
    # The kernel decides whom it kills for lack of memory, and a worker's end says so.
    "memory_monitor_refresh_ms": 0,
    "enable_metrics_collection": False,
}
"""settings of a cluster that is started here, which its head hands to each node"""
SMALL = (f"--object-store-memory={STORE}", "--disable-usage-stats", "--include-log-monitor=false")
# Any that are free, as several nodes may be on one host.
PORTS = ("--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0")


@dataclass(frozen=True)
class End:
    """The end of a node."""

    told: int | None
    """the signal that ended it; None where Ray ended by itself"""
    status: int
    """Ray's exit status"""
    printed: str
    """what `ray start` printed"""

    @property
    def had_started(self) -> bool:
        """Return whether it belonged to the cluster."""
        return STARTED in self.printed


def serve(
    options: Sequence[str],
    here: str,
    environment: Mapping[str, str],
    until: set[signal.Signals],
    say: Callable[[str], None],
    joined: str,
) -> End:
    """Serve the cluster until Ray ends or a signal comes; return that end.

    Args:
        options: those of `ray start` that make it a node of a cluster, or its head.
        here: the address of the interface on which it is reached; it listens there alone.
        environment: the variables of Ray and of the workers.
        until: signals that end it, which this process has blocked.
        say: is told why, where it listens on more; and when Ray has started, in the words `joined`.
        joined: those words.
    """
    ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1)
    folder = Folder(short_folder())
    printed = folder.path / "printed"
    try:
        preloading = listening.preloading(listening.library(folder.path, here, say))
        place = (f"--node-ip-address={here}", f"--temp-dir={folder.path / 'r'}")  # which Ray opens to all users
        command = python("-m", "ray.scripts.scripts", "start", "--block", *options, *place, *SMALL, *PORTS)
        with printed.open("wb") as out:
            ray = subprocess.Popen(command, env={**environment, **GONE, **preloading}, stdout=out, stderr=out)
        told = _wait(ray, until, printed, partial(say, joined))
        if told:
            _keep_runs()
    finally:
        _end_all()
        said = printed.read_text(errors="replace") if printed.exists() else ""
        folder.remove()
    return End(told, ray.returncode or 0, said)


def answers(address: str) -> bool:
    """Return whether something listens at HOST:PORT, or comes to do so soon."""
    host, _, port = address.rpartition(":")
    end = time.monotonic() + JOINING
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=JOINING).close()
            return True
        except OSError:
            if time.monotonic() > end:
                return False
            time.sleep(0.5)


def short_folder() -> Path:
    """Return a local folder in which sockets may lie, and a library that LD_PRELOAD names."""
    folder = tempfile.gettempdir()
    return Path("/tmp" if len(folder) > LONGEST or {*folder} & {" ", ":"} else folder)


def _wait(
    ray: "subprocess.Popen[bytes]", until: set[signal.Signals], printed: Path, started: Callable[[], None]
) -> int | None:
    """Return the signal that came, or None where Ray has ended by itself."""
    has_started = False
    while ray.poll() is None:
        if not has_started and STARTED in printed.read_text(errors="replace"):
            has_started = True
            started()
        if heard := signal.sigtimedwait(until, 1.0):
            return heard.si_signo
    return None


def _keep_runs() -> None:
    """Have the worker processes keep what they run and end, which they do by SIGTERM."""
    workers = [process for process in _started() if _is_worker(process)]
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            worker.send_signal(ENDED)
    psutil.wait_procs(workers, timeout=KEEPING)
    time.sleep(TELLING)


def _is_worker(process: psutil.Process) -> bool:
    """Return whether a process is a worker of ours, or a rank of it."""
    with suppress(psutil.Error):
        return any("spawn_main" in word for word in process.cmdline())
    return False


def _end_all() -> None:
    """Kill what was started here; Ray leaves some of it behind."""
    while left := _started():
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5.0)


def _started() -> list[psutil.Process]:
    """Return all processes below this one."""
    return [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]
