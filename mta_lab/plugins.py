"""Loads a user's components.

They are files named by a command, a sweep file or the environment, and installed entry points.
"""

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from components import FAMILIES
from components.registry import TakenError, all_or_nothing, use_plugins
from mta_lab.errors import UserError, described

ENTRY_POINTS = "mta_lab.components"
VARIABLE = "MTA_LAB_COMPONENTS"


def load_components(paths: Iterable[Path], source: str = "--components") -> None:
    """Import every file in `paths` (a directory means its *.py files), then those for all commands.

    That is the files in the environment variable MTA_LAB_COMPONENTS, separated as in PATH.
    Importing a file registers what it decorates with `register`; a file is imported once a process,
    however often and by whatever path it is named. A file that is missing or that fails to import
    is a UserError naming `source`, the file and the line.

    Installed entry points are loaded when a name is asked for that neither ships nor is in a file,
    and not before.
    """
    _plugins.look_again()
    use_plugins(_plugins)
    _load(paths, source)
    _load([Path(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name], VARIABLE)


def component_files(path: Path) -> Sequence[Path]:
    """Return the files that `path` names as components; a directory stands for its *.py files."""
    return sorted(path.glob("*.py")) if path.is_dir() else [path]


def load_plugins() -> None:
    """Load the entry points now, for names that come in another way; warn of broken ones."""
    _plugins.load()
    _plugins.warn()


def plugins_loaded() -> bool:
    """Return whether this process has loaded entry points; its workers need them, too."""
    return bool(_plugins.tried)


class EntryPoints:
    """The installed entry points of the group, each loaded once a process.

    What one registers counts as a whole or not at all.
    """

    def __init__(self) -> None:
        self.tried: dict[_Key, str] = {}
        """what is wrong with each that was loaded, if anything"""
        self._owners: dict[tuple[str, str], list[_Key]] = {}
        self._here: list[_Key] = []
        self._looked = False
        self._warned = set[str]()

    def look_again(self) -> None:
        """Let the next `load` look for entry points that were not there before."""
        self._looked = False

    def load(self) -> Sequence[str]:
        """Register what they hold, by distribution; return what is wrong with those that failed."""
        if not self._looked:
            self._looked = True  # before: what is loaded may ask for names itself
            found = {_key(point): point for point in metadata.entry_points(group=ENTRY_POINTS)}
            self._here = sorted(found)
            for key in self._here:
                if key not in self.tried:
                    self.tried[key] = ""
                    self.tried[key] = self._load(found[key], key)
            self._remove_disputed()
        return self._problems()

    def warn(self) -> None:
        """Say once of those that failed that they are skipped."""
        for problem in self._problems():
            if problem not in self._warned:
                self._warned.add(problem)
                print(f"mta-lab: warning: {problem}; it is skipped", file=sys.stderr)

    def _load(self, point: metadata.EntryPoint, key: "_Key") -> str:
        """Load one; return what is wrong with it."""
        before = _registered()
        try:
            with all_or_nothing():
                point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: nothing that is installed ends a command
            owners = self._owners.get((error.family, error.name), []) if isinstance(error, TakenError) else []
            if any(owner in self._here for owner in owners):
                owners.append(key)  # it is among the disputed ones
                return ""
            return f"plugin {key.shown} cannot be loaded: {described(error)}"
        for variant in _registered() - before:
            self._owners[variant] = [key]
        return ""

    def _disputed(self) -> dict[tuple[str, str], list["_Key"]]:
        """Return the variants that several plugins register, with these."""
        owners = {variant: [key for key in keys if key in self._here] for variant, keys in self._owners.items()}
        return {variant: keys for variant, keys in owners.items() if len(keys) > 1}

    def _remove_disputed(self) -> None:
        """Remove each name that two plugins register: which of them comes first is chance."""
        for family, name in self._disputed().keys() & _registered():
            FAMILIES[family].remove(name)

    def _problems(self) -> list[str]:
        broken = [self.tried[key] for key in self._here if self.tried[key]]
        return broken + [
            f"plugins {' and '.join(key.shown for key in keys)} register the same {family} '{name}': uninstall one"
            for (family, name), keys in self._disputed().items()
        ]


class _Key(NamedTuple):
    """The parts that tell an entry point from others."""

    distribution: str
    """with its version"""
    name: str
    target: str
    folder: str

    @property
    def shown(self) -> str:
        return f"{self.distribution} (entry point {ENTRY_POINTS}:{self.name})"


_plugins = EntryPoints()


def _key(point: metadata.EntryPoint) -> _Key:
    found = point.dist
    distribution, folder = (f"{found.name} {found.version}", str(found.locate_file(""))) if found else ("unknown", "")
    return _Key(distribution, point.name, point.value, folder)


def _registered() -> set[tuple[str, str]]:
    return {(family.name, variant.name) for family in FAMILIES.values() for variant in family.registered()}


def _load(paths: Iterable[Path], source: str) -> None:
    for path in paths:
        if not path.exists():
            raise UserError(f"{source}: no such file or directory: {path}")
        for file in component_files(path):
            _load_file(file.resolve(), source)


def _load_file(file: Path, source: str) -> None:
    name = f"mta_lab_components_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UserError(f"{source}: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with all_or_nothing():
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too
        del sys.modules[name]
        raise UserError(f"{source}: {_place(error, file)}: {described(error)}") from error


def _place(error: BaseException, file: Path) -> str:
    """Return the last line of `file` on the way to the error."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    if isinstance(error, SyntaxError) and error.filename == str(file):
        lines.append(error.lineno)
    return f"{file}:{lines[-1]}" if lines else str(file)
