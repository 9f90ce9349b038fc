"""Hold the conditions of a sweep. Imports nothing slow, because every command needs it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of a sweep: settings for all its rows, scale, seeds and components."""

    settings: Sequence[str] = ()
    """KEY=VALUE, as on the command line"""
    scale: str = "nano"
    seeds: int | None = None
    """number of seeds of each row; None: the sweep's own number"""
    components: Sequence[Path] = ()
    """files and folders with the user's components"""

    def typed(self, *words: str) -> str:
        """Return the command of these `words` under these conditions, as a user types it."""
        options = ["--scale", self.scale, *(["--seeds", str(self.seeds)] if self.seeds else [])]
        options += [word for path in self.components for word in ("--components", str(path))]
        return shlex.join(["mta-lab", *words, *self.settings, *options])
