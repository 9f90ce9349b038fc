"""The executor of a Slurm cluster: Ray, whose places are the jobs of an array."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mta_lab.children import python
from mta_lab.errors import UserError
from mta_lab.executors.base import Handle, Resources, RunEvent
from mta_lab.executors.installed import installed
from mta_lab.executors.local.messages import Setup
from mta_lab.executors.places import Gate
from mta_lab.executors.ray.cluster import Cluster, start
from mta_lab.executors.ray.executor import RayExecutor
from mta_lab.executors.ray.tokens import own_token
from mta_lab.executors.slurm.array import Array, asks_for_gpus, reached_at

LOOK = 30.0  # seconds between two questions to Slurm whether jobs are left: its administrators ask for few


class SlurmExecutor(RayExecutor):
    """So many workers, each of which Slurm gives a job; runs start with the first.

    A job that is preempted, or whose host is gone, is a lost place until Slurm runs it again.
    """

    def __init__(
        self, workers: int, options: Mapping[str, str], setup: Setup, logs: Path, say: Callable[[str], None]
    ) -> None:
        """Submit the jobs with sbatch's `options`, and wait for none.

        It says of hosts that are not taken why.

        Raises:
            UserError: Slurm refuses them, or Ray does not start here.
        """
        self._array = Array(logs)
        self._array.cancel()  # what a launch left here that was killed
        cores, gpus = setup.threads * setup.count, setup.count if asks_for_gpus(options) else 0
        head = start(logs, cores=0, host=reached_at(), say=say)
        try:
            element = python("-m", "mta_lab.executors.slurm.element", head.address, str(own_token(logs)))
            command = [*element, f"--cores={cores}", f"--gpus={gpus}"]
            self._array.submit(workers, {"cpus-per-task": str(cores), **options}, command)
        except BaseException:
            head.close()
            raise
        self._look_again = time.monotonic() + LOOK
        share, gate = Resources(cores=cores, gpus=gpus), Gate(logs, installed(), say)
        super().__init__(workers, share, setup, logs, _WithJobs(head, self._array), gate)

    def poll(self, seconds: float) -> Sequence[tuple[Handle, RunEvent]]:
        """Return what the workers told; raise UserError where none can come any more."""
        if not self._ready and time.monotonic() > self._look_again:
            self._look_again = time.monotonic() + LOOK
            if self._array.is_gone():
                raise UserError(f"Slurm has none of the workers' jobs any more; their logs: {self._array.logs}")
        return super().poll(seconds)


class _WithJobs(Cluster):
    """A cluster that ends with its jobs."""

    def __init__(self, head: Cluster, array: Array) -> None:
        self._head, self._array = head, array

    def close(self) -> None:
        """Cancel the jobs, then end the head."""
        self._array.cancel()
        self._head.close()
