"""Start other Python processes in which no file of the current folder runs.

Python looks for modules in the current folder first under `-m` and `-c`, which is how
multiprocessing starts a process, too; and where PYTHONPATH has an empty entry, as
`PYTHONPATH=$PYTHONPATH:more` easily makes one. A `random.py` that lies there for another purpose
would run in place of Python's own. This file imports as little as it can: what is imported before
`safe_path` is still looked for there.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""the folder of this package"""


def python(*arguments: str) -> list[str]:
    """Return the command of another Python process."""
    return [sys.executable, "-P", *arguments]


@contextmanager
def variables(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables of this process and of those started meanwhile; take away one that is None."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def safe_path() -> Iterator[None]:
    """Keep the current folder off the module path of this process and of those started meanwhile.

    A folder that PYTHONPATH names stays, the current one, too. So does the folder of this package,
    as far behind as it can be and still be the one that is found.
    """
    path = sys.path.copy()
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    named = [entry for entry in entries if entry]
    unasked = {""}
    if named != entries and os.path.abspath("") not in map(os.path.abspath, named):
        unasked.add(os.path.abspath(""))  # Python has written it out
    sys.path[:] = [entry for entry in path if entry not in unasked]
    if ROOT not in sys.path:
        others = (place for place, entry in enumerate(sys.path) if os.path.isdir(os.path.join(entry, "mta_lab")))
        sys.path.insert(next(others, len(sys.path)), ROOT)
    # Read by every Python process, those that libraries start among them.
    safe = {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(named) or None}
    try:
        with variables(safe):
            yield
    finally:
        sys.path[:] = path
