"""Requests of other commands to a launch that runs: files in its directory.

The launch alone writes records, journal and MLflow.
"""

from pathlib import Path

from mta_lab.atomic import write_whole
from mta_lab.launch.guards import launch_runs
from mta_lab.workspace import LAUNCH_REQUESTS

STOP, SEEDS = ".stop", ".seeds"


def ask_to_stop(directory: Path, fingerprint: str) -> None:
    """Ask the launch in a results directory to stop a run; raise UserError where that fails."""
    write_whole(directory / LAUNCH_REQUESTS / f"{fingerprint}{STOP}", "")


def ask_for_seeds(directory: Path, sweep: str, seeds: int) -> None:
    """Ask the launch of a sweep, by the name of its files, to train so many seeds of each row.

    Raises UserError where that fails.
    """
    write_whole(directory / LAUNCH_REQUESTS / f"{sweep}{SEEDS}", str(seeds))


def asked_stops(directory: Path) -> set[str]:
    """Return the fingerprints of the runs to be stopped.

    These requests stay until the next launch: of a search, the runs of its table come later.
    """
    return {file.stem for file in (directory / LAUNCH_REQUESTS).glob(f"*{STOP}")}


def taken_seeds(directory: Path, sweep: str) -> int:
    """Return how many seeds of each row are asked for, 0 for none; take the request away."""
    file = directory / LAUNCH_REQUESTS / f"{sweep}{SEEDS}"
    try:
        asked = file.read_text()
    except OSError:
        return 0
    file.unlink(missing_ok=True)
    return int(asked) if asked.isdecimal() else 0


def forget_requests(directory: Path) -> None:
    """Take away what was asked of a launch before this one, unless that one still runs."""
    asked = [file for ending in (STOP, SEEDS) for file in (directory / LAUNCH_REQUESTS).glob(f"*{ending}")]
    if asked and not launch_runs(directory):
        for file in asked:
            file.unlink(missing_ok=True)
