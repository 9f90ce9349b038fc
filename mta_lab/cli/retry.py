"""`mta-lab retry`: try again what failed of a sweep."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli import completion
from mta_lab.cli.arguments import (
    DEFAULT_SCALE,
    Address,
    Components,
    Devices,
    DevicesPerRun,
    Launcher,
    Scale,
    Seeds,
    Slurm,
    SweepName,
    Threads,
    Track,
    TrialTimeout,
    Workers,
    WorkersPerDevice,
    duration,
    row_under,
)
from mta_lab.cli.sweep import status_of
from mta_lab.cli.terminal import Terminal
from mta_lab.words import counted_are
from mta_lab.workspace import again


def retry(
    name: SweepName,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ROW] [KEY=VALUE]...",
            help="the row to try again, default: all of them; and settings, as in sweep",
            autocompletion=completion.rows,
        ),
    ] = None,
    scale: Scale = DEFAULT_SCALE,
    seeds: Seeds = None,
    workers: Workers = None,
    devices: Devices = None,
    workers_per_device: WorkersPerDevice = None,
    devices_per_run: DevicesPerRun = 1,
    launcher: Launcher = None,
    address: Address = None,
    threads: Threads = None,
    slurm: Slurm = None,
    trial_timeout: TrialTimeout = None,
    track: Track = None,
    components: Components = None,
) -> None:
    """Try the failed runs of a sweep again, or those of one row.

    Where there are some, go on as `sweep` does, with that row alone if one is named.
    """
    seconds, display = duration(trial_timeout, "--trial-timeout"), Terminal()
    where = lab.launchers.launcher_of(launcher, workers, address, threads, slurm)
    gpus = lab.placing.gpus_of(devices, where)
    workers = lab.placing.workers_of(where.workers, gpus, workers_per_device, devices_per_run)
    row, under = row_under(words, scale, seeds, components)
    plan = lab.plans.plan(name, under, display)
    plan = lab.placing.asking_for(plan, devices_per_run, where)
    plan = lab.placing.tracked_by(plan, track or ())
    rows = [plan.sweep.row(row).name] if row else None
    cleared = lab.retries.clear_failures(plan, rows[0] if rows else None)
    if not cleared:
        trains = f"`{again(plan.command)}` trains what is missing"
        display.console.print(f"{plan.sweep.title}: no run failed that could be tried again; {trains}", markup=False)
        return
    display.console.print(f"{plan.sweep.title}: {counted_are(cleared, 'failed run')} tried again", markup=False)
    launch = lab.launches.launch_plan
    raise typer.Exit(status_of(lambda: launch(plan, workers, seconds, rows, gpus, devices_per_run, where)))
