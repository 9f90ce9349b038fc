"""`mta-lab sweep`: train what is missing of a sweep and print its table."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TypeVar

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
    Seeds,
    Settings,
    Slurm,
    SweepName,
    Threads,
    Track,
    TrialTimeout,
    Workers,
    WorkersPerDevice,
    conditions,
    duration,
)
from mta_lab.cli.plan import print_plan, probing
from mta_lab.cli.terminal import Terminal
from mta_lab.errors import UserError

if TYPE_CHECKING:
    from mta_lab.lab.launches import Launched

INTERRUPTED = 130
T = TypeVar("T")


def sweep(
    name: SweepName,
    settings: Settings = None,
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
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="train as many seeds of every row as fit into this time, like 45m or 1h30m"),
    ] = None,
    check_lr: Annotated[
        bool,
        typer.Option(
            "--check-lr", help="train the baseline and the best rows at half and twice the learning rate, too"
        ),
    ] = False,
    trial_timeout: TrialTimeout = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the plan and train nothing")] = False,
    rerun_stale: Annotated[
        bool,
        typer.Option(
            "--rerun-stale", help="train stale runs again: those whose only results are of other code, text or engine"
        ),
    ] = False,
    track: Track = None,
    components: Components = None,
) -> None:
    """Train what is missing of a sweep and print its table."""
    seconds, display = duration(trial_timeout, "--trial-timeout"), Terminal()
    where = lab.launchers.launcher_of(launcher, workers, address, threads, slurm)
    gpus = lab.placing.gpus_of(devices, where)
    workers = lab.placing.workers_of(where.workers, gpus, workers_per_device, devices_per_run)
    found = lab.plans.plan(name, conditions(settings, scale, seeds, components), display)
    found = lab.placing.asking_for(found, devices_per_run, where)
    found = lab.placing.tracked_by(found, track or ())
    lab.placing.check_together(found, gpus, devices_per_run)  # before --budget measures; --dry-run launches nothing
    if rerun_stale:
        found = replace(found, rerun_stale=True, command=f"{found.command} --rerun-stale")
    if seeds is not None and budget is not None:
        raise UserError("--budget: sets the number of seeds, and so does --seeds; give one of them")
    if (limit := duration(budget, "--budget")) is not None:
        with probing(display.console) as probe:
            found, why = lab.costs.within(found, limit, workers, probe)
        display.console.print(f"--budget {budget}: {why}")
    if dry_run and check_lr:
        raise UserError("--check-lr: trains, and --dry-run trains nothing; give one of them")
    if dry_run:
        print_plan(found, lab.costs.costs_of(found, workers, None), display.console)
    elif check_lr:
        check = lab.learning_rates.check_learning_rates
        for line in interruptible(lambda: check(found, workers, seconds, gpus, devices_per_run, where)):
            display.console.print(line)
    else:
        launch = lab.launches.launch_plan
        raise typer.Exit(status_of(lambda: launch(found, workers, seconds, None, gpus, devices_per_run, where)))


def status_of(launch: Callable[[], "Launched"]) -> int:
    """Return the exit status of a launch: 1 as long as the table is incomplete."""
    return 0 if interruptible(launch).complete else 1


def interruptible(launch: Callable[[], T]) -> T:
    """Return what a launch does; interrupted, print what is left and exit."""
    try:
        return launch()
    except KeyboardInterrupt as interrupt:
        if not interrupt.args:  # not by the launch, which says what is left
            raise
        print(f"mta-lab: {interrupt}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
