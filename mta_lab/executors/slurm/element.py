"""The program of each job: it joins the launch's Ray cluster as a place for one worker.

Slurm ends a job by SIGTERM to all of its processes, and SIGKILL half a minute later: in between,
runs are kept.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from mta_lab.executors.places import JOB_END
from mta_lab.executors.ray.listening import towards
from mta_lab.executors.ray.node import ENDED, answers, serve
from mta_lab.executors.ray.tokens import GUARDED, TOKEN_PATH

TIME_OVER = signal.SIGUSR1
"""signal of Slurm before the time of a job is over; where it is cancelled or requeued, ENDED"""


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
    options = (f"--address={given.address}", f"--num-cpus={given.cores}", f"--num-gpus={given.gpus}")
    here, variables = towards(given.address.rpartition(":")[0]), environment(os.environ, given.token)
    joined = f"a place of the launch at {given.address}"
    end = serve(options, here, variables, {TIME_OVER, ENDED}, partial(print, flush=True), joined)
    print(end.printed, flush=True)
    if end.told == TIME_OVER:
        return subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=False).returncode
    return end.status


def environment(given: Mapping[str, str], token: Path) -> dict[str, str]:
    """Return the variables of Ray and of the worker, with the cluster's token and the job's end."""
    kept = {name: value for name, value in given.items() if not name.startswith("RAY_")}
    return {JOB_END: end_of_job(), **kept, **GUARDED, TOKEN_PATH: str(token)}


def end_of_job() -> str:
    """Return when Slurm ends this job, in seconds since 1970, which older ones tell no job."""
    asked = ["squeue", "--noheader", f"--jobs={os.environ.get('SLURM_JOB_ID', '')}", "--format=%e"]
    seconds = {**os.environ, "SLURM_TIME_FORMAT": "%s"}
    with suppress(OSError):  # Slurm's programs may be missing in a container
        return subprocess.run(asked, env=seconds, capture_output=True, text=True, check=False).stdout.strip()
    return ""


if __name__ == "__main__":
    sys.exit(main())
