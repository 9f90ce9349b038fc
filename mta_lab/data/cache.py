"""Directories that are either complete or absent, and say when somebody has damaged them.

A directory is built beside its place, closed with a manifest of its files' sizes, and renamed into place.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mta_lab.errors import UserError

MANIFEST = "manifest.json"


@contextmanager
def building(directory: Path) -> Iterator[Path]:
    """A scratch directory that becomes `directory` when the block ends well and vanishes when it does not.

    The caller holds the lock, so what a killed process left behind may be removed.
    """
    scratch = directory.with_name(f".building-{directory.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
        scratch.replace(directory)
    except OSError as error:
        raise UserError(f"data: cannot prepare {directory} ({error})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def seal(directory: Path, facts: dict[str, Any]) -> None:
    """Write the manifest: the facts, and the size of every file."""
    sizes = {path.name: path.stat().st_size for path in sorted(directory.iterdir())}
    (directory / MANIFEST).write_text(json.dumps({**facts, "files": sizes}, indent=1))


def facts(directory: Path) -> dict[str, Any]:
    """What the manifest holds. Raises UserError if a file is missing or has another size."""
    remedy = f"delete {directory} and prepare again"
    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text())
        files = manifest.pop("files")
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"data: {directory / MANIFEST} is missing or unreadable; {remedy}") from error
    for name, expected in files.items():
        path = directory / name
        given = path.stat().st_size if path.exists() else 0
        if given != expected:
            raise UserError(f"data: {path} has {given} bytes where its manifest says {expected}; {remedy}")
    return manifest


@contextmanager
def lock(directory: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold `directory` for this process, waiting for any other; the lock ends with the process."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        held = FileLock(directory / ".lock")
        try:
            held.acquire(timeout=0)
        except Timeout:
            say(f"waiting for another process that prepares {directory}")
            held.acquire()
    except OSError as error:
        raise UserError(f"data: cannot write to {directory} ({error.strerror}); choose another folder") from error
    try:
        yield
    finally:
        held.release()
