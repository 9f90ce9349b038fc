"""The executor of this machine: each slot is a warm worker process."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from mta_lab.devices.visible import together
from mta_lab.executors.base import Resources, Slot
from mta_lab.executors.local.messages import Setup
from mta_lab.executors.local.pool import Pool
from mta_lab.executors.workers import WorkersExecutor

UNGUARDED = 'a script trains below `if __name__ == "__main__":` alone, as each worker reads the script anew'


class LocalExecutor(WorkersExecutor):
    """So many worker processes of so many torch threads each, which keep their logs in `logs`.

    Worker k has the k-th of `devices` alone; several share one in turn where they are more.
    `devices` holds names as in CUDA_VISIBLE_DEVICES; none where runs train on the CPU. With several
    `devices_per_run`, a worker has the k-th so many, and a process of so many threads for each.
    """

    unprinted: ClassVar[str] = f", or above: {UNGUARDED}"

    def __init__(
        self,
        workers: int,
        components: Sequence[Path],
        logs: Path,
        threads: int,
        devices: Sequence[str] = (),
        devices_per_run: int = 1,
    ) -> None:
        gpus = min(float(devices_per_run), len(devices) / workers)
        resources = Resources(cores=threads * devices_per_run, gpus=gpus)
        seen = logs.absolute()
        setup = Setup(components=tuple(components), threads=threads, count=devices_per_run, directory=seen)
        super().__init__(
            [Slot(number=number, resources=resources) for number in range(workers)],
            Pool(workers, setup, logs, together(devices, devices_per_run)),
        )
