"""Measured meanings, kept in a file of the user's cache, so that each is measured once.

The file's name is a hash over every source that a value comes from, so that no edit finds a value
of before. Files of the sources of long ago are removed.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

import components
from mta_lab.config import meaning
from mta_lab.workspace import user_cache

PATTERN = "meanings-*.txt"
KEPT = 8  # files, so that a few versions of the sources can take turns


def remembered(key: Any, measure: Callable[[], str]) -> str:
    """Return the value under `key`, plain data; measure and keep it where there is none."""
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    file = cache_file()
    known = _read(file)
    if name not in known:
        known[name] = measure()
        _append(file, f"{name} {known[name]}\n")
    return known[name]


def cache_file() -> Path | None:
    """Return where values of today's sources are kept: in XDG_CACHE_HOME or ~/.cache.

    None where the user has no home.
    """
    folder = user_cache()
    return folder / PATTERN.replace("*", _sources()) if folder else None


@cache
def _sources() -> str:
    """Return a hash of all shipped components, of what measures them, and of torch's version."""
    digest = hashlib.sha256(torch.__version__.encode())
    for file in (*sorted(Path(components.__file__).parent.rglob("*.py")), Path(meaning.__file__)):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _read(file: Path | None) -> dict[str, str]:
    """Return the values in `file`, to add to; a line that was torn is none."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file and _is_own(file.parent) and _is_own(file) else []
    except (OSError, ValueError):
        lines = []
    return {name: value for name, _, value in (line.partition(" ") for line in lines) if len(value) == 16}


def _append(file: Path | None, line: str) -> None:
    """Add a line; where nothing can be written, the value is measured again by the next process."""
    try:
        if not file:
            return
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_own(file.parent):
            return
        if os.path.lexists(file) and not _is_own(file):
            file.unlink()
        if not file.exists():
            _remove_oldest(file.parent)
        with open(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "a") as opened:
            opened.write(line)
    except OSError:
        return


def _remove_oldest(folder: Path) -> None:
    """Remove the files that were added to longest ago, so that with a new one `KEPT` are there."""
    newest_first = sorted(folder.glob(PATTERN), key=lambda file: -file.lstat().st_mtime)
    for file in newest_first[KEPT - 1 :]:
        file.unlink(missing_ok=True)


def _is_own(place: Path) -> bool:
    """Return whether only the user and root can have written there: these values identify runs."""
    found = place.lstat()
    trusted = found.st_uid in (os.geteuid(), 0) and not stat.S_ISLNK(found.st_mode)
    return trusted and not found.st_mode & stat.S_IWOTH
