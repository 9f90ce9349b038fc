"""Guards of a launch: against another launch, a full disk, an interrupt amid a write."""

import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from mta_lab.atomic import UnwritableError, link_refused
from mta_lab.errors import UserError
from mta_lab.locks import HeldError, holder_elsewhere, holding
from mta_lab.workspace import LAUNCH_LOCK


@contextmanager
def only_launch(directory: Path) -> Iterator[None]:
    """Hold the results directory; raise UserError if another launch does.

    Both would train the same runs.
    """
    with ExitStack() as held:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            held.enter_context(holding(directory / LAUNCH_LOCK, 0.5))  # `launch_runs` may hold it for a moment
        except HeldError as error:
            remedy = f"wait for it, or start in another directory{error.remedy}"
            raise UserError(f"{directory}: another sweep is running here ({error}); {remedy}") from None
        except OSError as error:
            raise UserError(f"{error.filename or directory}: cannot be written: {error.strerror}") from None
        yield


def launch_runs(directory: Path) -> bool:
    """Return whether a launch holds the results directory.

    The system takes the lock from a launch that died; on another host it is believed as long as it
    touches its note (see `mta_lab.locks`).
    """
    return is_held(directory / LAUNCH_LOCK)


def is_held(lock: Path) -> bool:
    """Return whether a process holds the lock of this file, which may be absent."""
    try:
        with link_refused(lock):  # to read: whoever only looks may lack the right to write
            file = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        finally:
            os.close(file)
        return holder_elsewhere(lock) is not None
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise UserError(f"{lock}: cannot be opened: {error.strerror}") from None


DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO, errno.ELOOP)


@contextmanager
def disk_full_reported(usual: Path) -> Iterator[None]:
    """Raise a UserError that names the file, or `usual`, when a disk takes no more."""
    goes_on = "what is finished is kept, the same command goes on from there"
    try:
        yield
    except UnwritableError as error:
        raise UserError(f"{error}; {goes_on}") from None
    except OSError as error:
        if error.errno not in DISK:
            raise
        raise UserError(f"{error.filename or usual}: cannot be written: {error.strerror}; {goes_on}") from None


class Interrupt:
    """Notes Ctrl-C or SIGTERM, to be answered between messages, not while a result is written.

    The second one raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
