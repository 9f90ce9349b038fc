"""A launch's processes, as another terminal sees them."""

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest


def workers_of(launch: int) -> list[int]:
    """Return the worker processes of the launch with this process id, starting ones included."""
    found = []
    with suppress(OSError):  # it has ended
        for child in Path(f"/proc/{launch}/task/{launch}/children").read_text().split():
            with suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return sorted(found)


def wait_for_workers(group: int) -> None:
    """Wait until the process group of a launch has ended; fail after half a minute.

    Workers of a killed launch first keep what they run.
    """
    for _ in range(300):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a worker outlived its launch")
