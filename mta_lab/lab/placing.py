"""Choose the GPUs that a launch trains on, and its number of workers: where, never what."""

import os
from collections.abc import Sequence

from mta_lab.devices.visible import Gpu, gpus, trouble
from mta_lab.errors import UserError

NONE = "there is no GPU here that torch can use"


def usual_workers(devices: Sequence[Gpu] | None = None, per_device: int = 1) -> int:
    """Return the number of workers by default: one for each GPU, or else for each core.

    Args:
        devices: the GPUs of the launch; None for all that are visible.
        per_device: workers that share a GPU.
    """
    found = gpus() if devices is None else devices
    return len(found) * per_device or len(os.sched_getaffinity(0))


def workers_of(workers: int | None, devices: Sequence[Gpu], per_device: int | None) -> int:
    """Return the number of workers that the options of a command ask for.

    Raises:
        UserError: `--workers-per-device` is given beside `--workers`, or where there is no GPU.
    """
    if per_device is not None and workers is not None:
        raise UserError("--workers-per-device: sets the number of workers, and so does --workers; give one of them")
    if per_device is not None and not devices:
        raise UserError(f"--workers-per-device: {NONE}; --workers sets the number of processes")
    return workers or usual_workers(devices, per_device or 1)


def gpus_of(devices: str | None) -> tuple[Gpu, ...]:
    """Return the GPUs of `--devices`, like '0,1'; all that are visible where it is not given.

    Raises:
        UserError: one of them is not visible, or is named twice.
    """
    visible = gpus()
    if devices is None:
        return visible
    if not visible:
        raise UserError(f"--devices: got '{devices}', but {trouble() or NONE}")
    by_key = {gpu.key: gpu for gpu in visible}
    keys = [key.strip() for key in devices.split(",")]
    for key in keys:
        if key not in by_key:
            raise UserError(f"--devices: got '{key}', allowed: {', '.join(by_key)}, joined by commas")
        if keys.count(key) > 1:
            raise UserError(f"--devices: '{key}' is named twice; --workers-per-device has several workers share a GPU")
    return tuple(by_key[key] for key in keys)
