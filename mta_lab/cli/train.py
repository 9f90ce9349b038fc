"""`mta-lab train`: train one model, as a sweep of a single run."""

from dataclasses import replace

import typer

from mta_lab import lab
from mta_lab.cli.arguments import (
    DEFAULT_SCALE,
    Address,
    Components,
    Devices,
    DevicesPerRun,
    Launcher,
    Scale,
    Settings,
    Slurm,
    Threads,
    Track,
    conditions,
)
from mta_lab.cli.sweep import status_of
from mta_lab.cli.terminal import Terminal


def train(
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    devices: Devices = None,
    devices_per_run: DevicesPerRun = 1,
    launcher: Launcher = None,
    address: Address = None,
    threads: Threads = None,
    slurm: Slurm = None,
    track: Track = None,
    components: Components = None,
) -> None:
    """Train one model and print its scores. For example: `mta-lab train attention=multi_token`."""
    where = lab.launchers.launcher_of(launcher, 1, address, threads, slurm)
    gpus = lab.placing.gpus_of(devices, where)
    plan = lab.plans.plan_of_one(conditions(settings, scale, components=components), Terminal())
    plan = lab.placing.asking_for(plan, devices_per_run, replace(where, workers=None))  # it has no such option
    plan = lab.placing.tracked_by(plan, track or ())
    lab.retries.clear_failures(plan)
    launch = lab.launches.launch_plan
    raise typer.Exit(status_of(lambda: launch(plan, 1, None, None, gpus, devices_per_run, where)))
