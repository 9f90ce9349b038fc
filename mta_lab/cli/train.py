"""`mta-lab train`: train one model, as a sweep of a single run."""

import typer

from mta_lab import lab
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Devices, DevicesPerRun, Scale, Settings, conditions
from mta_lab.cli.sweep import status_of
from mta_lab.cli.terminal import Terminal


def train(
    settings: Settings = None,
    scale: Scale = DEFAULT_SCALE,
    devices: Devices = None,
    devices_per_run: DevicesPerRun = 1,
    components: Components = None,
) -> None:
    """Train one model and print its scores. For example: `mta-lab train attention=multi_token`."""
    gpus = lab.placing.gpus_of(devices)
    plan = lab.plans.plan_of_one(conditions(settings, scale, components=components), Terminal())
    plan = lab.placing.asking_for(plan, devices_per_run)
    lab.retries.clear_failures(plan)
    raise typer.Exit(status_of(lambda: lab.launches.launch_plan(plan, 1, None, None, gpus, devices_per_run)))
