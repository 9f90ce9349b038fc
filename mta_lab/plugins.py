"""Loads a user's components: files named by a command, a sweep file or the environment, and installed entry points."""

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from mta_lab.errors import UserError, described

ENTRY_POINTS = "mta_lab.components"
VARIABLE = "MTA_LAB_COMPONENTS"


def load_components(paths: Iterable[Path], source: str = "--components") -> None:
    """Import every file in `paths` (a directory stands for its *.py files), then what holds for every command.

    That is the files in the environment variable MTA_LAB_COMPONENTS, separated as in PATH, and the installed entry
    points. Importing a file registers what it decorates with `register`; a file is imported once a process, however
    often and by whatever path it is named. A file that is missing or that fails to import is a UserError naming
    `source`, the file and the line.
    """
    _load(paths, source)
    _load([Path(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name], VARIABLE)
    for entry_point in metadata.entry_points(group=ENTRY_POINTS):
        try:
            entry_point.load()
        except Exception as error:
            raise UserError(f"entry point {ENTRY_POINTS}:{entry_point.name}: {described(error)}") from error


def _load(paths: Iterable[Path], source: str) -> None:
    for path in paths:
        if not path.exists():
            raise UserError(f"{source}: no such file or directory: {path}")
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
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
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"{source}: {_place(error, file)}: {described(error)}") from error


def _place(error: BaseException, file: Path) -> str:
    """The last line of `file` on the way to the error."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    if isinstance(error, SyntaxError) and error.filename == str(file):
        lines.append(error.lineno)
    return f"{file}:{lines[-1]}" if lines else str(file)
