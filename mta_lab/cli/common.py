"""What commands share: where corpora and MLflow's pages are, and the console."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.console import Console

from mta_lab.cli.printable import SafeConsole, one_line
from mta_lab.errors import UserError
from mta_lab.results.records import RESULTS, Records

if TYPE_CHECKING:
    from mta_lab.launch.status_file import LaunchStatus

CORPORA = Path("data")
DASHBOARD = "http://127.0.0.1:5000"  # where `mta-lab dashboard` listens unless it is told otherwise
LOG_WIDTH = 140  # characters, where there is no terminal to ask


def dashboard_address() -> str:
    """The address of MLflow's pages, without the name and password that it may hold."""
    store = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if store.scheme not in ("http", "https"):
        return DASHBOARD
    return f"{store.scheme}://{store.netloc.rpartition('@')[2]}{store.path.rstrip('/')}"


def make_console() -> Console:
    """The console on stdout, wide enough for a table when it goes to a file or a pipe."""
    return SafeConsole(width=None if sys.stdout.isatty() else LOG_WIDTH)


def note(message: str) -> None:
    """Say something that is no part of a command's output."""
    print(f"mta-lab: {one_line(message)}", file=sys.stderr)


def open_records(directory: Path = RESULTS) -> Records:
    """The records below a directory; a file among them that cannot be used is left out, and said."""
    return Records(directory, say=note)


def launch_news(directory: Path, said: set[str]) -> "LaunchStatus | None":
    """Return what the launch in a results directory last told; a file that cannot be used is said once, in `said`."""
    from mta_lab.launch.status_file import launch_status  # slow to import

    try:
        return launch_status(directory)
    except UserError as error:
        if str(error) not in said:
            note(str(error))
        said.add(str(error))
        return None
