"""Read what a launch last wrote to its status file. Needs no torch, and no reply of the launch."""

from collections.abc import Callable
from pathlib import Path

from mta_lab.errors import UserError
from mta_lab.launch.status_file import LaunchStatus, launch_status


def launch_news(directory: Path, note: Callable[[str], None]) -> LaunchStatus | None:
    """Return the last status of the launch in a results directory; None if there is none.

    A status file that cannot be read is reported by `note`.
    """
    try:
        return launch_status(directory)
    except UserError as error:
        note(str(error))
        return None
