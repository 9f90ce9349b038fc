"""One name for all that is shown of a sweep: another for each file, scale and settings."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mta_lab.config import in_words
from mta_lab.sweep.files import SHIPPED

PLAIN = re.compile(r"[\w.-]+")
TAKEN = re.compile(r"all|index|train|.*-lr")
"""names of what is no file:
every sweep, the page over them, a single run, a sweep's check of its learning rates"""
READABLE = re.compile(r"[\w.,=+-]{1,48}")
DIGITS = 6  # of a digest: a project has some dozens of sweeps and settings


def sweep_name(path: Path) -> str:
    """Return the name of the sweep in a file: its stem, where no other sweep can have that.

    So are called the sweeps that ship, and those in the current folder. Any other file's name holds
    a digest of its path from here as well, and so does that of a file which is called as a sweep
    that ships.
    """
    file = path.resolve()
    stem, place = file.stem, os.path.relpath(file)
    if is_shipped(path):
        return stem
    here = place == f"{stem}.yaml" and PLAIN.fullmatch(stem)
    return stem if here and not (TAKEN.fullmatch(stem) or called_as_shipped(path)) else f"{stem}-{_digest(place)}"


def is_shipped(path: Path) -> bool:
    """Return whether this file is that of a sweep which ships, however its path is written."""
    return path.resolve().parent == Path(str(SHIPPED)).resolve()


def called_as_shipped(path: Path) -> bool:
    """Return whether a user's file has a shipped sweep's name, with dashes or underscores."""
    return not is_shipped(path) and SHIPPED.joinpath(f"{path.resolve().stem.replace('-', '_')}.yaml").is_file()


def shown_as(name: str, scale: str, settings: Mapping[str, Any]) -> str:
    """Return the name of a sweep's files and studies: `kernel_sizes-nano-training.steps=2000`.

    `settings` are those that the command line changes: in words where these are short, else as a
    digest.
    """
    words = ",".join(in_settings(settings))
    changed = words if READABLE.fullmatch(words) else _digest(json.dumps(settings, sort_keys=True, default=str))
    return "-".join([name, scale, *([changed] if settings else [])])


def conditions(scale: str, settings: Mapping[str, Any]) -> str:
    """Return the scale and the changed settings for people: `nano, training.steps=2000`."""
    return ", ".join([scale, *in_settings(settings)])


def in_settings(settings: Mapping[str, Any]) -> list[str]:
    """Return flattened settings as they are typed."""
    return [f"{key}={in_words(value)}" for key, value in sorted(settings.items())]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
