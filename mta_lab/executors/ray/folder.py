"""The temporary folder of a Ray that is started here: a head, or the node of a job."""

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "mta-ray-"
STARTING = 60.0  # seconds in which a folder may be another start's that has not locked it yet


class Folder:
    """A new folder of this process; what processes left that were killed is removed first."""

    def __init__(self, parent: Path = Path("/tmp")) -> None:
        """Make it, closed to other users; short, as sockets in it may have paths of 107 letters."""
        for folder in parent.glob(f"{PREFIX}*"):
            _remove_left(folder)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._lock = os.open(self.path, os.O_RDONLY)  # the system takes it from a process that died
        with suppress(OSError):  # on a network's disk, where nobody can lock it, it is left alone, too
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_left(folder: Path) -> None:
    """Remove a folder of this user whose process is gone."""
    with suppress(OSError):  # another user's, locked, or gone meanwhile
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            about = os.fstat(opened)
            if about.st_uid == os.getuid() and time.time() - about.st_mtime > STARTING:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(opened)
