"""Keys of a directory's records, kept in one file, so that only new records are read."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from mta_lab.atomic import write_whole
from mta_lab.errors import UserError
from mta_lab.strict import FaultError, as_json, content

LATER: Mapping[tuple[str, str], Any] = {("training", "compiled"): True, ("data", "mixture"): {}}
"""settings that earlier versions did not have, with the value that all their runs had"""


class Keys(NamedTuple):
    """Keys of a record's settings."""

    settings: str
    conditions: str
    """of those in which rows and seeds do not differ"""


ROWS = ("attention", "seed", "stream")
"""settings in which rows and seeds differ; all others are conditions"""


def keys_of(config: Mapping[str, Any]) -> Keys:
    """Return the keys of a configuration in its canonical form."""
    return Keys(settings_key(config), settings_key(without(config, ROWS)))


def settings_key(config: Mapping[str, Any]) -> str:
    """Return 16 hex digits over a configuration in its canonical form, and nothing else.

    Records of all versions have one.
    """
    earlier = {
        name: {key: one for key, one in section.items() if (name, key) not in LATER or one != LATER[name, key]}
        if isinstance(section, Mapping)
        else section
        for name, section in config.items()
    }
    return hashlib.sha256(json.dumps(earlier, sort_keys=True).encode()).hexdigest()[:16]


def without(config: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return a configuration without some settings, in the run that it starts from as well."""
    return {name: without(one, names) if name == "parent" else one for name, one in config.items() if name not in names}


def recorded_keys(path: Path, files: Iterable[Path], read: Callable[[str], Keys | None]) -> dict[str, Keys]:
    """Return what `read` says of each of `files`, by stem; `path` keeps what it said.

    Files of which it says nothing are left out.

    A file that is not as this function wrote it is made anew: it holds nothing that the records do
    not say.
    """
    known = _known(path)
    found: dict[str, list[Any]] = {}
    for file in files:
        with suppress(OSError):  # it went away, or a link leads nowhere
            name, written = file.stem, file.stat().st_mtime_ns
            found[name] = known[name] if known.get(name, [None])[0] == written else [written, read(name)]
    if found != known:
        with suppress(UserError):  # where nothing can be written, they are read again
            write_whole(path, json.dumps({"runs": found, "check": _check(found)}))
    return {name: Keys(*keys) for name, (_, keys) in found.items() if keys}


def _known(path: Path) -> dict[str, list[Any]]:
    try:
        kept = as_json(content(path))
        whole = isinstance(kept, dict) and kept.get("check") == _check(kept.get("runs"))
        return kept["runs"] if whole else {}
    except (OSError, FaultError):
        return {}


def _check(runs: Any) -> str:
    """Return a digest of what is kept; of what a version with other keys kept, it is another."""
    return hashlib.sha256(json.dumps([Keys._fields, runs], sort_keys=True).encode()).hexdigest()[:16]
