"""Listeners that copy the curves of runs to other trackers than MLflow: a file a tracker.

Each has a class `Tracker`, made of a sweep's name and a folder. Its library is an extra, and is
imported with its file alone, where a launch asks for it.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from mta_lab.errors import UserError, described, nearest
from mta_lab.launch.events import Event, Listener
from mta_lab.launch.outlook import Outlook

TRACKERS = ("csv", "tensorboard", "wandb")


def trackers(names: Sequence[str], sweep: str, directory: Path, say: Callable[[str], None]) -> list[Listener]:
    """Return the listeners of these names, for a sweep whose results are in `directory`.

    Raises:
        UserError: there is no such tracker, or its library is missing.
    """
    return [Forgiving(name, _loaded(name).Tracker(sweep, directory), say) for name in dict.fromkeys(names)]


def check(names: Sequence[str]) -> None:
    """Raise UserError where one of the names is no tracker's, or its library is missing."""
    for name in names:
        _loaded(name)


def _loaded(name: str) -> ModuleType:
    if name not in TRACKERS:
        raise UserError(f"--track: got '{name}'{nearest(name, TRACKERS) or ';'} allowed: {', '.join(TRACKERS)}")
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("mta_lab"):
            raise
        raise UserError(f"--track {name}: needs a library: pip install 'mta-lab[{name}]'") from None


class Forgiving:
    """Passes events on to a tracker; an error of it is said once, and ends the copy alone."""

    def __init__(self, name: str, tracker: Listener, say: Callable[[str], None]) -> None:
        self._name, self._say = name, say
        self._tracker: Listener | None = tracker

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Pass the event on, as long as the tracker takes events."""
        if self._tracker is None:
            return
        try:
            self._tracker.hear(event, outlook)
        except Exception as error:  # a library, a server or a full disk may raise anything
            self._tracker = None
            self._say(f"{self._name} failed; the training goes on without it ({described(error)})")
