"""The conditions under which a sweep is planned. Imports nothing heavy: every command is given them."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """All that is said of a sweep beside its name: the settings above its rows', the scale, seeds and components."""

    settings: Sequence[str] = ()
    """KEY=VALUE, as on the command line"""
    scale: str = "nano"
    seeds: int | None = None
    """of each row; None: as many as the sweep says"""
    components: Sequence[Path] = ()
    """files and directories with components of the user's"""

    def typed(self, *words: str) -> str:
        """Return the command of these `words` under these conditions, as it is typed."""
        options = ["--scale", self.scale, *(["--seeds", str(self.seeds)] if self.seeds else [])]
        options += [word for path in self.components for word in ("--components", str(path))]
        return shlex.join(["mta-lab", *words, *self.settings, *options])
