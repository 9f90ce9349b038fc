"""Loads a user's components: files named on the command line and installed entry points."""

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from mta_lab.errors import UserError, described

ENTRY_POINTS = "mta_lab.components"


def load_components(paths: Iterable[Path]) -> None:
    """Import every file in `paths` (a directory stands for its *.py files), then the installed entry points.

    Importing a file registers what it decorates with `register`. A file that is missing or that fails to import is
    a UserError naming the file and line.
    """
    for path in paths:
        if not path.exists():
            raise UserError(f"--components: no such file or directory: {path}")
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            _load_file(file.resolve())
    for entry_point in metadata.entry_points(group=ENTRY_POINTS):
        try:
            entry_point.load()
        except Exception as error:
            raise UserError(f"entry point {ENTRY_POINTS}:{entry_point.name}: {described(error)}") from error


def _load_file(file: Path) -> None:
    name = f"mta_lab_components_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UserError(f"--components: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"--components: {_place(error, file)}: {described(error)}") from error


def _place(error: BaseException, file: Path) -> str:
    """The last line of `file` on the way to the error."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    if isinstance(error, SyntaxError) and error.filename == str(file):
        lines.append(error.lineno)
    return f"{file}:{lines[-1]}" if lines else str(file)
