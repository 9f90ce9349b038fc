"""The executor of a Ray cluster: each slot is a place there, with a warm worker process in it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from mta_lab.errors import UserError
from mta_lab.executors.base import Resources, Slot
from mta_lab.executors.installed import installed
from mta_lab.executors.local.messages import Setup
from mta_lab.executors.places import Gate
from mta_lab.executors.ray.cluster import Cluster, connect, first_node, start
from mta_lab.executors.ray.pool import RayPool
from mta_lab.executors.workers import WorkersExecutor


class RayExecutor(WorkersExecutor):
    """So many workers on a cluster, each with its share of a machine.

    They come as there is room for them: runs start with the first.
    """

    def __init__(
        self, workers: int, share: Resources, setup: Setup, logs: Path, cluster: Cluster, gate: Gate | None = None
    ) -> None:
        """Ask for the workers, which keep their logs in `logs`; at its end, close the cluster."""
        self._cluster = cluster
        slots = [Slot(number=number, resources=share) for number in range(workers)]
        super().__init__(slots, RayPool(workers, share, setup, logs), gate)

    def close(self) -> None:
        """Kill the workers, and disconnect."""
        super().close()
        self._cluster.close()


def on_this_machine(workers: int, setup: Setup, logs: Path, devices: Sequence[str] = ()) -> RayExecutor:
    """Start Ray on this machine and return its executor, whose workers share the `devices`.

    Raises:
        UserError: Ray does not start, or several runs would share devices that train together.
    """
    cores = setup.threads * setup.count
    share = Resources(cores=cores, gpus=_gpus(workers, setup.count, len(devices)))
    return RayExecutor(workers, share, setup, logs, start(logs, cores=workers * cores, devices=devices))


def on_cluster(address: str, workers: int, setup: Setup, logs: Path, say: Callable[[str], None]) -> RayExecutor:
    """Connect to the cluster whose head listens at `address`, and return its executor.

    It says of hosts that are not taken why.

    Raises:
        UserError: it cannot be reached, or refuses this process.
    """
    cluster = connect(address, say)
    return on_nodes(cluster, workers, setup, logs, say)


def on_nodes(cluster: Cluster, workers: int, setup: Setup, logs: Path, say: Callable[[str], None]) -> RayExecutor:
    """Return the executor of a cluster's nodes, once the first one has come.

    Runs train on GPUs where it has some.
    """
    gpus = float(setup.count) if "GPU" in first_node(say) else 0.0
    share = Resources(cores=setup.threads * setup.count, gpus=gpus)
    return RayExecutor(workers, share, setup, logs, cluster, Gate(logs, installed(), say))


def _gpus(workers: int, together: int, devices: int) -> float:
    """Return the GPUs of each worker: whole ones, or its part of one that several share."""
    if not devices:
        return 0.0
    if together == 1:
        return 1.0 / math.ceil(workers / devices)
    if workers * together > devices:
        allowed = f"allowed with Ray: at most {devices // together}"
        raise UserError(f"--workers: got {workers}, each of whose runs has {together} of {devices} GPUs; {allowed}")
    return float(together)
