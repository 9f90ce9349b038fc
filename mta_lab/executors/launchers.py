"""The launchers: how a launch comes to its workers. Where runs train changes no result of them."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mta_lab.executors.base import Executor
from mta_lab.executors.local.executor import LocalExecutor
from mta_lab.executors.local.pool import threads

Name = Literal["local", "ray", "slurm"]


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """The options of a launch on this machine, or on many."""

    launcher: Name = "local"
    """local: processes here; ray: places on a Ray cluster; slurm: Ray on nodes that Slurm gives"""
    workers: int | None = None
    """runs that train at the same time, at most; None for as many as this machine takes"""
    address: str | None = None
    """HOST:PORT of a Ray cluster's head; None: one is started on this machine"""
    threads: int = 1
    """torch threads of each run on a cluster, where its place has as many cores"""
    slurm: Mapping[str, str] = field(default_factory=dict)
    """options of sbatch, as they are"""

    @property
    def elsewhere(self) -> bool:
        """Return whether runs train on other machines, whose devices are not known here."""
        return self.launcher == "slurm" or bool(self.launcher == "ray" and self.address)

    @property
    def options(self) -> str:
        """Return the options as they are typed, each behind a space; empty for this machine."""
        typed = {"launcher": self.launcher, "address": self.address or ""} if self.launcher != "local" else {}
        typed |= {"workers": str(self.workers or "")} if self.elsewhere else {}
        typed |= {"threads": str(self.threads)} if self.elsewhere and self.threads > 1 else {}
        words = [f" --{name} {value}" for name, value in typed.items() if value]
        slurm = [f"{key}={value}" if value else key for key, value in self.slurm.items()]
        return "".join([*words, *(f" --slurm {shlex.quote(option)}" for option in slurm)])


LOCAL = Launcher()


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The workers that a launch wants."""

    workers: int
    """how many: no more than there are runs"""
    of: int
    """how many there would be with runs for all: they share the machine's cores"""
    components: Sequence[Path]
    directory: Path
    """of the launch: its logs and its state"""
    devices: Sequence[str] = ()
    """GPUs of this machine, as in CUDA_VISIBLE_DEVICES"""
    devices_per_run: int = 1


def executor_of(launcher: Launcher, wanted: Wanted, say: Callable[[str], None]) -> Executor:
    """Return the executor of the workers that a launch wants; it says lines on its machines.

    Torch has as many threads on one machine as if all workers were needed: see `threads`.

    Raises:
        UserError: there is no Ray, no such cluster, or it refuses this process; Slurm refuses its
            options.
    """
    together, directory = wanted.devices_per_run, wanted.directory
    each = launcher.threads if launcher.elsewhere else threads(wanted.of * together)
    if launcher.launcher == "local":
        return LocalExecutor(wanted.workers, wanted.components, directory, each, wanted.devices, together)
    from mta_lab.executors.clusters import on_cluster  # noqa: PLC0415  Ray is an extra, imported with an environment

    return on_cluster(launcher, wanted, each, say)
