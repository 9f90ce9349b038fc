"""`mta-lab doctor`: can a launch train here, or there, and if not, why?"""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as RichTable

from mta_lab import lab
from mta_lab.cli.arguments import Address, Devices, DevicesPerRun, Launcher, Slurm, Threads, Workers
from mta_lab.cli.terminal import make_console, note
from mta_lab.words import parse_duration

if TYPE_CHECKING:
    from mta_lab.lab.doctor import Diagnosis, Examined

COLUMNS = ("worker", "host", "device", "threads", "versions", "directory", "seconds", "what is wrong")


def doctor(
    launcher: Launcher = None,
    workers: Workers = None,
    devices: Devices = None,
    devices_per_run: DevicesPerRun = 1,
    address: Address = None,
    threads: Threads = None,
    slurm: Slurm = None,
    wait: Annotated[str, typer.Option(metavar="TIME", help="how long workers may take to come, like 10m")] = "2m",
) -> None:
    """Train a tiny run in each place, and say what is wrong.

    The exit status is 1 if something is wrong.
    """
    where = lab.launchers.launcher_of(launcher, workers, address, threads, slurm)
    patience = parse_duration(wait, "--wait")
    wanted = lab.doctor.wanted_of(where, lab.placing.gpus_of(devices, where), devices_per_run)
    found = lab.doctor.diagnose(where, wanted, patience, note)
    console = make_console()
    versions = ", ".join(f"{name} {value}" for name, value in found.versions.items())
    console.print(f"here: {versions}; results are kept in {found.directory}", markup=False, soft_wrap=True)
    console.print(_table(found))
    for line in found.advice:
        console.print(line, markup=False, soft_wrap=True)
    raise typer.Exit(0 if found.well else 1)


def _table(found: "Diagnosis") -> RichTable:
    table = RichTable(title="places")
    for column in COLUMNS:
        right = column in ("worker", "threads", "seconds")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for one in found.places:
        table.add_row(*_cells(one, found))
    return table


def _cells(one: "Examined", found: "Diagnosis") -> list[str]:
    """Return what stands in the columns of one place."""
    seconds, wrong = "-" if one.seconds is None else f"{one.seconds:.1f}", one.wrong or "nothing"
    if one.place is None:
        return [str(one.worker), "-", "-", "-", "-", "-", seconds, wrong]
    others = [f"{name} {value}" for name, value in one.place.versions.items() if value != found.versions.get(name)]
    device = one.place.computes_on if one.place.device else one.place.machine
    where = [one.place.host, device, str(one.place.threads)]
    compared = [", ".join(others) or "the same", "seen" if one.sees else "not seen"]
    return [str(one.worker), *where, *compared, seconds, wrong]
