"""Find out when, where and with what a result was measured."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mta_lab.devices import own
from mta_lab.identity import ENGINE

CROWDED = 1.25  # times the cores: a launch with a worker a core comes a little above 1 by itself
SOURCES = (".py", ".cpp", ".h", ".yaml")


def provenance(threads: int) -> dict[str, Any]:
    """Return time, commit, processor and versions, for a result by `threads` torch threads."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"finished": now, "threads": threads, **here()}


def here() -> dict[str, Any]:
    """Return what is to be said of this machine and what is installed on it."""
    return {"contended": contended(), **_machine()}


def contended() -> bool | None:
    """Return whether more threads wanted to run in the last minute than there are cores.

    None where the system does not say it.
    """
    cores = os.cpu_count()
    try:
        return os.getloadavg()[0] > CROWDED * cores if cores else None
    except OSError:
        return None


@cache
def commit() -> str:
    """Return this checkout's commit, with a `+` if files differ; elsewhere, the version."""
    here = Path(__file__).parent
    try:
        _git(here, "ls-files", "--error-unmatch", Path(__file__).name)  # fails where installed into another checkout
        found = _git(here, "rev-parse", "--short=12", "HEAD")
        return found + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return f"mta-lab {version('mta-lab')}"


@cache
def sources() -> str:
    """Return 12 hex digits over all sources of this installation, Python and C++."""
    digest, root = hashlib.sha256(), Path(__file__).parents[1]
    files = [file for package in ("components", "mta_lab") for file in (root / package).rglob("*")]
    for file in sorted(file for file in files if file.suffix in SOURCES):
        digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


@cache
def versions() -> Mapping[str, str]:
    """Return the versions of this installation and of the libraries that results depend on."""
    return {"commit": commit(), "sources": sources(), "engine": str(ENGINE), **_libraries()}


@cache
def _machine() -> dict[str, Any]:
    return {
        "commit": commit(),
        "machine": own.processor(),
        "python": platform.python_version(),
        **_libraries(),
    }


def _libraries() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "lightning")}


def _git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), "-c", "core.fsmonitor=false", *arguments]  # a program that a checkout names
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()
