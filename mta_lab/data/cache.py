"""Keep directories that are complete or absent, and detect damaged ones.

A directory is built beside its place, closed with a manifest of its files' sizes and hashes, and
then renamed.
"""

import errno
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mta_lab.errors import UserError
from mta_lab.locks import HeldError, holding
from mta_lab.workspace import in_shell

MANIFEST = "manifest.json"
LOCK = ".lock"
LOOK = 0.1  # seconds between two looks at a lock that another process has


@contextmanager
def building(directory: Path) -> Iterator[Path]:
    """Yield a scratch directory, which becomes `directory` if the block succeeds, else vanishes.

    The caller holds the lock, so that what a killed process left behind may be removed.
    """
    scratch = directory.with_name(f".building-{directory.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir(parents=True)  # neither removes nor follows a link of that name
        yield scratch
        scratch.replace(directory)
    except OSError as error:
        raise UserError(f"data: cannot prepare {directory} ({error})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@dataclass(frozen=True)
class Sealed:
    """A file as recorded in the manifest."""

    size: int
    sha256: str
    """empty in the manifests of an earlier version"""


def seal(directory: Path, facts: dict[str, Any]) -> None:
    """Write the manifest: the facts, and the size and hash of every file."""
    files = {path.name: asdict(Sealed(path.stat().st_size, digest_of(path))) for path in sorted(directory.iterdir())}
    (directory / MANIFEST).write_text(json.dumps({**facts, "files": files}, indent=1))


def facts(directory: Path) -> dict[str, Any]:
    """Return the content of the manifest.

    Raises:
        UserError: a file is missing, or has another size.
    """
    manifest, files = _manifest(directory)
    _refuse(directory, {name: wrong_size(directory / name, file.size) for name, file in files.items()})
    return manifest


def inspected(directory: Path) -> dict[str, str]:
    """Read every file of the manifest; return the fault of each, or an empty text."""
    _, files = _manifest(directory)
    return {name: wrong_size(directory / name, file.size) or _wrong_content(directory / name, file)
            for name, file in files.items()}  # fmt: skip


def refuse_damaged(directory: Path) -> None:
    """Refuse a directory in which a file differs from the manifest.

    Raises:
        UserError: it names the first such file.
    """
    _refuse(directory, inspected(directory))


def stamps(directory: Path) -> dict[str, tuple[int, ...]]:
    """Return facts of each file that change whenever it is written: size, inode and times."""
    found = {path.name: path.stat() for path in sorted(directory.iterdir())}
    return {name: (stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns) for name, stat in found.items()}


def remedy(directory: Path) -> str:
    """Return what to type about a damaged directory."""
    return f"`rm -r {in_shell(directory)}`, then `mta-lab data prepare` with the same settings prepares it again"


def _refuse(directory: Path, wrong: Mapping[str, str]) -> None:
    for name, what in wrong.items():
        if what:
            raise UserError(f"data: {directory / name} {what}; {remedy(directory)}")


def _manifest(directory: Path) -> tuple[dict[str, Any], dict[str, Sealed]]:
    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        files = {name: Sealed(file, "") if isinstance(file, int) else Sealed(**file)
                 for name, file in manifest.pop("files").items()}  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"data: {directory / MANIFEST} is missing or unreadable; {remedy(directory)}") from error
    return manifest, files


def wrong_size(path: Path, right: int) -> str:
    """Return in words that a file has not `right` bytes, or an empty text."""
    if not path.is_file():
        return "is missing"
    given = path.stat().st_size
    return "" if given == right else f"has {given} bytes where its manifest says {right}"


def _wrong_content(path: Path, sealed: Sealed) -> str:
    same = not sealed.sha256 or digest_of(path) == sealed.sha256
    return "" if same else "has another content than when it was prepared"


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lock(directory: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Lock `directory` for this process, waiting for others; the lock ends with the process."""
    with ExitStack() as held:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            _wait_for(directory / LOCK, held, say)
        except OSError as error:
            where = error.filename if error.errno == errno.ELOOP else directory
            raise UserError(f"data: cannot write to {where} ({error.strerror}); choose another folder") from error
        yield


def _wait_for(lock: Path, held: ExitStack, say: Callable[[str], None]) -> None:
    """Take a lock until `held` is closed; where another process has it, say so once and wait."""
    said = False
    while True:
        try:
            held.enter_context(holding(lock))
            return
        except HeldError as error:
            if not said:
                say(f"waiting for {error}, which prepares {lock.parent}{error.remedy}")
            said = True
            time.sleep(LOOK)
