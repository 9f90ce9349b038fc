"""The executors of launchers that need Ray, which is imported with this module."""

from collections.abc import Callable

from mta_lab.executors.base import Executor
from mta_lab.executors.launchers import Launcher, Wanted
from mta_lab.executors.local.messages import Setup
from mta_lab.executors.ray import executor as ray
from mta_lab.executors.slurm.executor import SlurmExecutor


def on_cluster(launcher: Launcher, wanted: Wanted, threads: int, say: Callable[[str], None]) -> Executor:
    """Return the executor of the wanted workers, each run of which has so many threads.

    Raises:
        UserError: as `launchers.executor_of` says.
    """
    directory = wanted.directory
    setup = Setup(
        components=wanted.components, threads=threads, count=wanted.devices_per_run, directory=directory.absolute()
    )
    if launcher.launcher == "slurm":
        return SlurmExecutor(wanted.workers, launcher.slurm, setup, directory, say)
    if launcher.address:
        return ray.on_cluster(launcher.address, wanted.workers, setup, directory, say)
    say("starting Ray on this machine, for this launch")
    return ray.on_this_machine(wanted.workers, setup, directory, wanted.devices)
