"""Files that hold either what they held before or all that was written, whatever happens.

No link is followed on the way: whoever can put one in a folder could otherwise choose which file is
written.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mta_lab.errors import UserError

PUBLIC, PRIVATE = 0o666, 0o600  # less the user's umask


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open a file to write that replaces `path` after the block; an error leaves nothing of it.

    A link at `path` is replaced itself, not what it points to. Others cannot read a `private` file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    mode = PRIVATE if private else PUBLIC
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


class UnwritableError(UserError):
    """Raised where a disk or its permissions refuse a file."""


def write_whole(path: Path, text: str, *, private: bool = False) -> None:
    """Write `text` so that `path` holds either its old content or all of the new, come what may."""
    try:
        with replacing(path, private=private) as file:
            file.write(text.encode())
    except OSError as error:
        raise UnwritableError(f"{path}: cannot be written: {error.strerror}") from None


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder that becomes `path` after the block; an error leaves nothing of it.

    Raises:
        UnwritableError: `path` holds something, or the disk or its permissions refuse a file.
    """
    path = path.absolute()
    scratch = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        scratch.mkdir(parents=True)
        yield scratch
        scratch.rename(path)  # in the place of an empty folder, or of nothing
    except OSError as error:
        raise UnwritableError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def open_log(path: Path) -> BinaryIO:
    """Open a private file to add to; a link in its place is an OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with link_refused(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, PRIVATE)
    os.fchmod(descriptor, PRIVATE)
    return open(descriptor, "ab")


@contextmanager
def link_refused(path: Path) -> Iterator[None]:
    """Say what is wrong where the system refused to follow a link."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        said = "it is a symbolic link, which is not followed; remove it, or link the folder"
        raise OSError(errno.ELOOP, said, str(path)) from None
