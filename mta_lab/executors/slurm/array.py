"""A job array of Slurm: one job for each worker, submitted by `sbatch`, ended by `scancel`."""

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mta_lab.atomic import write_whole
from mta_lab.errors import UserError
from mta_lab.executors.ray.listening import towards
from mta_lab.workspace import LAUNCH_ARRAY

WARNING = 60  # seconds before the end of its time in which a job is told of it
DEFAULTS = {"job-name": "mta-lab", "requeue": "", "open-mode": "append", "signal": f"B:USR1@{WARNING}"}
"""sbatch's options where `--slurm` says nothing else"""
ONE = "each worker is a job on one host, and --workers says how many there are"
SETTLED = {
    **dict.fromkeys(("array", "nodes", "ntasks", "ntasks-per-node"), ONE),
    "wrap": "what a job runs is given",
    **dict.fromkeys(("parsable", "quiet", "test-only", "wait"), "the launch needs to hear the number of its jobs"),
}
"""sbatch's options that leave no choice, and why"""
NAMED = {"HOME", "LANG", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "PYTHONPATH", "SHELL", "TMPDIR", "TZ", "USER"}
BEGUN = ("SBATCH_", "SLURM_CONF", "VIRTUAL_ENV", "LC_", "XDG_CACHE_", "NCCL_", "GLOO_")
"""variables that jobs have from the launch, by name or by how the name begins; no more: Slurm keeps
them in files and shows them to administrators, and a secret must not be among them"""
PATIENCE = 120.0  # seconds in which a program of Slurm must have answered: a busy controller is slow


def check(options: Mapping[str, str], where: str = "--slurm") -> None:
    """Check options of sbatch, whose flags have an empty value, as far as Slurm does not.

    The line that refuses one begins with `where` they stand.

    Raises:
        UserError: one cannot be an option, or leaves no choice.
    """
    for key in options:
        if not re.fullmatch("[a-z][a-z-]+", key):
            raise UserError(f"{where}: got '{key}', allowed: a long option of sbatch, like partition=gpu or exclusive")
        if key in SETTLED:
            raise UserError(f"{where}: got '{key}', but {SETTLED[key]}")


def asks_for_gpus(options: Mapping[str, str]) -> bool:
    """Return whether jobs with these options of sbatch have GPUs."""
    return any(key.startswith("gpus") or (key == "gres" and "gpu" in value) for key, value in options.items())


class Array:
    """The jobs of a launch in Slurm's queue.

    Their number stands in a file of the results as long as there may be any, so that the next
    launch cancels those of one that was killed.
    """

    def __init__(self, results: Path) -> None:
        """Know the jobs that a launch may have left in `results`, which no other one holds."""
        self._file, self.logs = results / LAUNCH_ARRAY, results.absolute() / "slurm"

    def submit(self, workers: int, options: Mapping[str, str], command: Sequence[str]) -> None:
        """Submit so many jobs, each of which runs `command`.

        Raises:
            UserError: Slurm refused them, or there is no Slurm here.
        """
        check(options)
        self.logs.mkdir(parents=True, exist_ok=True)
        chosen = {"output": f"{self.logs}/%A_%a.log", **DEFAULTS, **options}
        settled = {"array": f"1-{workers}", "nodes": "1", "ntasks": "1", "parsable": ""}
        words = [f"--{key}={value}" if value else f"--{key}" for key, value in {**chosen, **settled}.items()]
        said = ask("sbatch", *words, script=f"#!/bin/sh\nexec {shlex.join(command)}\n")
        write_whole(self._file, said.partition(";")[0].strip())  # a cluster's name may follow

    @property
    def number(self) -> str:
        """The number of the array; empty where there is none."""
        with suppress(OSError):
            said = self._file.read_text(encoding="utf-8", errors="replace").strip()
            return said if said.isdecimal() else ""
        return ""

    def cancel(self) -> None:
        """Cancel the jobs, which may have ended.

        Where Slurm does not answer, they end by themselves, as they miss the launch.
        """
        if self.number:
            with suppress(UserError):
                ask("scancel", "--quiet", self.number)
        self._file.unlink(missing_ok=True)

    def is_gone(self) -> bool:
        """Return whether Slurm says that none of the jobs waits or runs."""
        with suppress(UserError):  # a controller that is away for a while knows of the jobs later
            arrays = ask("squeue", "--noheader", "--me", "--format=%F").split()
            return self.number not in arrays
        return False


def reached_at() -> str:
    """Return the address of the interface by which this machine reaches the cluster's hosts.

    Raises:
        UserError: Slurm does not answer, or none of its hosts has a known address.
    """
    try:
        hosts = ask("sinfo", "--noheader", "--Node", "--format=%o").split()
    except UserError as error:
        raise UserError(f"{error}; start on a host of the cluster, where `sinfo` answers") from None
    for host in hosts:
        with suppress(OSError):
            return towards(host)
    raise UserError("--launcher slurm: no host that `sinfo` names has a known address; start on a host of the cluster")


def ask(program: str, *options: str, script: str = "") -> str:
    """Return what a program of Slurm prints; raise UserError with what it complains of."""
    try:
        done = subprocess.run(
            [program, *options],
            input=script,
            env=kept_with_a_job(os.environ),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        raise UserError(f"--launcher slurm: there is no `{program}` here; start on a host of the cluster") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"--launcher slurm: `{program}` did not answer within {PATIENCE:.0f} s") from None
    if done.returncode:
        lines = [line.removeprefix(f"{program}: ").removeprefix("error: ") for line in done.stderr.splitlines()]
        raise UserError(f"--launcher slurm: {program}: {'; '.join(lines) or f'exit status {done.returncode}'}")
    return done.stdout


def kept_with_a_job(environment: Mapping[str, str]) -> dict[str, str]:
    """Return those variables that Slurm may keep."""
    return {name: value for name, value in environment.items() if name in NAMED or name.startswith(BEGUN)}
