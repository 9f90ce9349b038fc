"""The program of each job: it joins the launch's Ray cluster as a place for one worker.

Slurm ends a job by SIGTERM to all of its processes, and SIGKILL half a minute later. Ray would end
at once, and the run with it. So SIGTERM is blocked in everything that is started here but the
worker process, which answers it by keeping its run and saying so; Ray ends after that.
"""

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from mta_lab.children import python
from mta_lab.executors.places import JOB_END
from mta_lab.executors.ray.folder import Folder

TIME_OVER, ENDED = signal.SIGUSR1, signal.SIGTERM
"""signals of Slurm: before the time of a job is over, and where it is cancelled or requeued"""
ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of prctl(2): what Ray leaves behind can be found here
KEEPING = 20.0  # seconds that runs have to be kept; Slurm kills 30 s after its SIGTERM, unless it is set up otherwise
TELLING = 1.0  # seconds in which Ray passes on that they are kept
JOINING = 10.0  # seconds that the launch has to answer
LONGEST = 26  # letters of the folder in which Ray's is made: the paths of its sockets have up to 81 more, of 107
STORE = 80_000_000  # bytes of shared memory; the least that Ray takes, as nothing big goes through it
SMALL = (f"--object-store-memory={STORE}", "--disable-usage-stats")
# Any that are free, as several jobs may be on one host.
PORTS = ("--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0")


def main(words: Sequence[str] | None = None) -> int:
    """Be a place of the cluster until the launch or Slurm ends it; return the exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {TIME_OVER, ENDED})  # also in all that is started from here on
    parser = argparse.ArgumentParser()
    parser.add_argument("address", help="HOST:PORT of the cluster's head")
    parser.add_argument("token", type=Path, help="the file of the cluster's password")
    parser.add_argument("--cores", type=int, default=1, help="of the worker")
    parser.add_argument("--gpus", type=int, default=0, help="of the worker")
    given = parser.parse_args(words)
    if given.gpus > (there := int(os.environ.get("SLURM_GPUS_ON_NODE", "0"))):
        print(f"Slurm gave this job {there} GPUs, and a run needs {given.gpus}: ask for them by --slurm", flush=True)
        return 1
    if not answers(given.address):
        print(f"no launch answers at {given.address}: it has ended, or this host cannot reach it", flush=True)
        return 0
    ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1)
    folder = Folder(short_folder())
    try:
        room = (f"--num-cpus={given.cores}", f"--num-gpus={given.gpus}")
        joining = ("start", "--block", f"--address={given.address}", f"--temp-dir={folder.path}", *room, *SMALL, *PORTS)
        command = python("-m", "ray.scripts.scripts", *joining)
        joined = subprocess.Popen(command, env=environment(os.environ, given.token))
        told = wait(joined)
        if told:
            keep_runs()
    finally:
        end_all()
        folder.remove()
    if told == TIME_OVER:
        return subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=False).returncode
    return joined.returncode or 0


def answers(address: str) -> bool:
    """Return whether something listens at HOST:PORT."""
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


def environment(given: Mapping[str, str], token: Path) -> dict[str, str]:
    """Return the variables of Ray and of the worker, with the cluster's token and the job's end."""
    gone = {"RAY_gcs_rpc_server_reconnect_timeout_s": "20"}  # after so many seconds without the launch, Ray ends
    kept = {name: value for name, value in given.items() if not name.startswith("RAY_")}
    secured = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
    return {JOB_END: end_of_job(), **kept, **secured, **gone}


def end_of_job() -> str:
    """Return when Slurm ends this job, in seconds since 1970, which older ones tell no job."""
    asked = ["squeue", "--noheader", f"--jobs={os.environ.get('SLURM_JOB_ID', '')}", "--format=%e"]
    seconds = {**os.environ, "SLURM_TIME_FORMAT": "%s"}
    with suppress(OSError):  # Slurm's programs may be missing in a container
        return subprocess.run(asked, env=seconds, capture_output=True, text=True, check=False).stdout.strip()
    return ""


def short_folder() -> Path:
    """Return a local folder in which sockets may lie."""
    folder = tempfile.gettempdir()
    return Path(folder if len(folder) <= LONGEST else "/tmp")


def wait(joined: "subprocess.Popen[bytes]") -> int | None:
    """Return the signal that Slurm sent, or None where Ray has ended by itself."""
    while joined.poll() is None:
        if heard := signal.sigtimedwait({TIME_OVER, ENDED}, 1.0):
            return heard.si_signo
    return None


def keep_runs() -> None:
    """Have the worker processes keep what they run and end, which they do by SIGTERM."""
    workers = [process for process in started() if is_worker(process)]
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            worker.send_signal(ENDED)
    psutil.wait_procs(workers, timeout=KEEPING)
    time.sleep(TELLING)


def is_worker(process: psutil.Process) -> bool:
    """Return whether a process is a worker of ours, or a rank of it."""
    with suppress(psutil.Error):
        return any("spawn_main" in word for word in process.cmdline())
    return False


def end_all() -> None:
    """Kill what was started here; Ray leaves some of it behind."""
    while left := started():
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5.0)


def started() -> list[psutil.Process]:
    """Return all processes below this one."""
    return [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]


if __name__ == "__main__":
    sys.exit(main())
