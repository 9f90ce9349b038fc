"""Choose the GPUs that a launch trains on, and its number of workers: where, never what."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace

from mta_lab.devices.visible import VISIBLE, Gpu, free_memory, gpus, trouble
from mta_lab.errors import UserError
from mta_lab.executors.launchers import LOCAL, Launcher
from mta_lab.lab.plan import Plan
from mta_lab.launch.trackers import check as check_trackers
from mta_lab.planning.sharing import workers_a_gpu
from mta_lab.training.ranks import obstacle

NONE = "there is no GPU here that torch can use"


def usual_workers(plan: Plan, devices: Sequence[Gpu] | None = None) -> int:
    """Return the number of workers by default: as many as GPUs can take, or else one for each core.

    Small models share a GPU: see `planning.sharing`.

    Args:
        plan: the plan whose runs they train.
        devices: the GPUs of the launch; None for all that are visible.
    """
    found, cores = gpus() if devices is None else devices, len(os.sched_getaffinity(0))
    if not found:
        return cores
    configs, history = [row.config for row in plan.sweep.staged.rows], plan.records.all_finished()
    kinds = {gpu.name: [other for other in found if other.name == gpu.name] for gpu in found}
    shares = [
        workers_a_gpu(configs, history, gpu=name, free=free_memory(alike), cores=cores // len(found))
        for name, alike in kinds.items()
    ]
    return len(found) * min(shares)  # workers have the GPUs in turn


def workers_of(
    workers: int | None, devices: Sequence[Gpu], per_device: int | None, devices_per_run: int = 1
) -> int | None:
    """Return the number of workers that the options of a command ask for, None for the usual one.

    Where several devices train a run together, they have it alone unless the options say otherwise.

    Raises:
        UserError: `--workers-per-device` is given beside `--workers`, or where there is no GPU.
    """
    if per_device is not None and workers is not None:
        raise UserError("--workers-per-device: sets the number of workers, and so does --workers; give one of them")
    if per_device is not None and not devices:
        raise UserError(f"--workers-per-device: {NONE}; --workers sets the number of processes")
    if workers is not None or (per_device is None and devices_per_run == 1):
        return workers
    places = len(devices) or len(os.sched_getaffinity(0))
    return (per_device or 1) * max(1, places // devices_per_run)


def asking_for(plan: Plan, devices_per_run: int, launcher: Launcher = LOCAL) -> Plan:
    """Return the plan; the commands that it says to type next ask for as many devices a run.

    They have the launcher's options, too.
    """
    option = f" --devices-per-run {devices_per_run}" if devices_per_run > 1 else ""
    option += launcher.options
    return replace(plan, command=plan.command + option, retry=plan.retry + option)


def tracked_by(plan: Plan, names: Sequence[str]) -> Plan:
    """Return the plan, whose launch copies curves to these trackers; its commands say so.

    Raises:
        UserError: there is no such tracker, or its library is missing.
    """
    check_trackers(names)
    option = "".join(f" --track {name}" for name in names)
    return replace(plan, trackers=tuple(names), command=plan.command + option, retry=plan.retry + option)


def check_together(plan: Plan, devices: Sequence[Gpu], devices_per_run: int) -> None:
    """Check that so many of the devices can train a run of the plan together.

    Raises:
        UserError: there are not as many, they are of several kinds, or they cannot train a row
            together.
    """
    if devices and devices_per_run > len(devices):
        raise UserError(f"--devices-per-run: got {devices_per_run}, allowed: 1 to {len(devices)}, as many as there are")
    for first in range(0, len(devices) - devices_per_run + 1, devices_per_run):
        together = devices[first : first + devices_per_run]
        if len({gpu.name for gpu in together}) > 1:
            unequal = ", ".join(f"{gpu.key} ({gpu.name})" for gpu in together)
            allowed = "allowed: devices of one kind in each run; --devices chooses and orders them"
            raise UserError(f"--devices-per-run: got unequal devices for one run: {unequal}; {allowed}")
    check_batches(plan, devices_per_run)


def check_batches(plan: Plan, devices_per_run: int) -> None:
    """Raise UserError if so many devices cannot train a row of the plan together."""
    for row in plan.sweep.staged.rows:
        if said := obstacle(row.config.training, devices_per_run):
            raise UserError(f"{said}, in row '{row.name}'")


def gpus_of(devices: str | None, launcher: Launcher = LOCAL) -> tuple[Gpu, ...]:
    """Return the GPUs of `--devices`, like '0,1'; all that are visible where it is not given.

    None where runs train elsewhere: their GPUs are the cluster's to give.

    Raises:
        UserError: one of them is not visible, or is named twice; or runs train elsewhere.
    """
    if launcher.elsewhere:
        if devices is not None:
            raise UserError("--devices: names GPUs of this machine; on a cluster, each run is given free ones")
        return ()
    visible = gpus()
    if devices is None:
        return visible
    if not visible:
        raise UserError(f"--devices: got '{devices}', but {trouble() or NONE}")
    by_key = {gpu.key: gpu for gpu in visible}
    keys = [key.strip().removeprefix("cuda:") for key in devices.split(",")]
    if other := next((key for key in keys if re.fullmatch(r"[a-z]+(:\d+)?", key)), ""):
        allowed = f"GPUs of CUDA: {', '.join(by_key)}; {VISIBLE}= before the command trains on the CPU"
        raise UserError(f"--devices: got '{other}', allowed: {allowed}")
    for key in keys:
        if key not in by_key:
            raise UserError(f"--devices: got '{key}', allowed: {', '.join(by_key)}, joined by commas")
        if keys.count(key) > 1:
            raise UserError(f"--devices: '{key}' is named twice; --workers-per-device has several workers share a GPU")
    return tuple(by_key[key] for key in keys)
