"""Keep beside the records which looks the tables of a sweep have used.

A look whose verdicts somebody has seen has spent a part of the false alarms that are allowed, even
if the sweep says other looks by now.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mta_lab.atomic import write_whole
from mta_lab.strict import FaultError, as_json, built, content
from mta_lab.workspace import LOOKS


@dataclass(frozen=True)
class UsedLooks:
    """The looks of a sweep under which verdicts have been given."""

    baseline: str
    """fingerprint of the baseline's first run: with another, all verdicts are of other runs"""
    looks: Sequence[int]
    """numbers of seeds"""
    used: int
    """the number of these looks that were complete"""


def used_looks(directory: Path) -> dict[str, list[UsedLooks]]:
    """Return the looks by sweep, under the name of its files; empty where none are kept.

    Raises:
        FaultError: the file cannot be read.
    """
    try:
        found = as_json(content(directory / LOOKS))
    except OSError:
        return {}
    if not isinstance(found, dict) or not all(isinstance(kept, list) for kept in found.values()):
        raise FaultError("it is not a mapping of sweeps to lists of looks")
    return {sweep: [_read(one, f"{sweep}.") for one in kept] for sweep, kept in found.items()}


def _read(value: Any, where: str) -> UsedLooks:
    found = built(UsedLooks, value, where)
    return replace(found, looks=tuple(found.looks))


def keep_looks(directory: Path, sweep: str, now: UsedLooks) -> list[UsedLooks]:
    """Add the looks that a table has used, and return the others that its sweep has used before.

    Raises:
        FaultError: the file cannot be read.
        UserError: it cannot be written.
    """
    kept = used_looks(directory)
    together = _joined([*kept.get(sweep, []), now])
    if together != kept.get(sweep):
        _write(directory, {**kept, sweep: together})
    return [one for one in together if one.baseline == now.baseline and one.looks != now.looks]


def merge_looks(directory: Path, other: Path, sweep: str | None = None) -> None:
    """Take in the looks of another results directory, of one sweep or of all.

    Raises:
        FaultError: a file cannot be read.
        UserError: it cannot be written.
    """
    ours, theirs = used_looks(directory), used_looks(other)
    theirs = {name: looks for name, looks in theirs.items() if sweep in (None, name)}
    together = {name: _joined([*ours.get(name, []), *theirs.get(name, [])]) for name in {**ours, **theirs}}
    if together != ours:
        _write(directory, together)


def _joined(looks: Sequence[UsedLooks]) -> list[UsedLooks]:
    """Return each of the looks once, as far as they were used."""
    most: dict[tuple[str, Sequence[int]], UsedLooks] = {}
    for one in looks:
        key = one.baseline, one.looks
        most[key] = max(one, most.get(key, one), key=lambda used: used.used)
    return list(most.values())


def looks_of(directory: Path, sweep: str) -> str:
    """Return the file's content with the looks of one sweep alone; empty where it has used none.

    Raises:
        FaultError: the file cannot be read.
    """
    found = {name: looks for name, looks in used_looks(directory).items() if name == sweep}
    return _content(found) if found else ""


def _write(directory: Path, looks: Mapping[str, Sequence[UsedLooks]]) -> None:
    write_whole(directory / LOOKS, _content(looks))


def _content(looks: Mapping[str, Sequence[UsedLooks]]) -> str:
    return json.dumps({sweep: [asdict(one) for one in kept] for sweep, kept in looks.items()}, indent=2) + "\n"
