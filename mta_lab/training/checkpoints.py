"""Checkpoints of a run on disk: all that it needs to go on as if it had never been interrupted.

Not Lightning's checkpoints: those keep no random states, start the loader anew in the middle of an epoch, and where a
validation was due at the step they were saved at, resume after it (2.6, `_TrainingEpochLoop.advance`). Here batches are
functions of the step, so a small file and a Trainer that starts at an offset resume exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mta_lab.errors import described
from mta_lab.training import tensors

KEPT = 2  # the last ones: if one is damaged, the run goes on from the one before
PATTERN = "*.ckpt"


@dataclass(frozen=True, kw_only=True)
class RunState:
    """A run after `step` optimizer steps. Tensors and plain data: torch loads it with weights_only."""

    fingerprint: str
    step: int
    """also the position in the data: the next batch is item `step`"""
    model: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    random: list[Tensor]
    """torch's random states, the CPU's and each GPU's; batches and weights have generators of their own"""
    progress_callback: dict[str, Any]
    """what was told of the run, and what it is about to tell"""
    seconds: float
    peak_memory: int | None


class Checkpoints:
    """The checkpoints of one run, in a directory of its own that is named after the run's fingerprint."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def latest(self, say: Callable[[str], None]) -> RunState | None:
        """Return the last one that is whole and this run's, or None; those that are not are said and removed."""
        for unfinished in self.directory.glob("*.tmp"):
            unfinished.unlink(missing_ok=True)
        for path in self._paths()[::-1]:
            try:
                return self._read(path)
            except Exception as error:  # there may be anything in a file
                say(f"cannot use checkpoint {path} ({described(error)}): trying the one before")
                path.unlink(missing_ok=True)
        return None

    def keep(self, state: RunState) -> None:
        """Write `state`, whole or not at all, and remove all but the last ones; a failure is an OSError."""
        tensors.write(self.directory / f"{state.step:09d}.ckpt", vars(state))
        for old in self._paths()[:-KEPT]:
            old.unlink(missing_ok=True)

    def _read(self, path: Path) -> RunState:
        state = RunState(**tensors.read(path))
        if state.fingerprint != self.directory.name:
            raise ValueError(f"it is of run {state.fingerprint}")
        return state

    def _paths(self) -> list[Path]:
        """All of them, the oldest first."""
        return sorted(self.directory.glob(PATTERN))
