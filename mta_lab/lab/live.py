"""The launch of a results directory, as its status file tells; the launch itself is not asked. Needs no torch."""

from collections.abc import Callable
from pathlib import Path

from mta_lab.errors import UserError
from mta_lab.launch.status_file import LaunchStatus, launch_status


def launch_news(directory: Path, note: Callable[[str], None]) -> LaunchStatus | None:
    """Return what the launch in a results directory last told; a file that cannot be used is said."""
    try:
        return launch_status(directory)
    except UserError as error:
        note(str(error))
        return None
