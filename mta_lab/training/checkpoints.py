"""Where a run is, kept on disk: all that it needs to go on as if it had never been interrupted.

Not Lightning's checkpoints: those keep no random states, start the loader anew in the middle of an epoch, and where a
validation was due at the step they were saved at, resume after it (2.6, `_TrainingEpochLoop.advance`). Here batches are
functions of the step, so a small file and a Trainer that starts at an offset resume exactly.
"""

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mta_lab.errors import described

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
    reporter: dict[str, Any]
    """what was told of the run, and what it is about to tell"""
    seconds: float
    peak_memory: int | None


class Checkpoints:
    """The checkpoints of one run, in a directory of its own that is named after the run's fingerprint."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def latest(self, say: Callable[[str], None]) -> RunState | None:
        """The last one that is whole and this run's, or None; those that are not are said and removed."""
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
        path = self.directory / f"{state.step:09d}.ckpt"
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("wb") as file:
                torch.save(vars(state), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except RuntimeError as error:  # torch's, while it handles that of the disk
            cause = error.__context__
            raise cause if isinstance(cause, OSError) else OSError(str(error)) from error
        finally:
            unfinished.unlink(missing_ok=True)
        for old in self._paths()[:-KEPT]:
            old.unlink(missing_ok=True)

    def _read(self, path: Path) -> RunState:
        with zipfile.ZipFile(path) as archive:  # torch writes checksums and does not read them
            if damaged := archive.testzip():
                raise ValueError(f"{damaged} is damaged")
        state = RunState(**torch.load(path, map_location="cpu", weights_only=True))
        if state.fingerprint != self.directory.name:
            raise ValueError(f"it is of run {state.fingerprint}")
        return state

    def _paths(self) -> list[Path]:
        """All of them, the oldest first."""
        return sorted(self.directory.glob(PATTERN))
