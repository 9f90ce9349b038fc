"""Keep checkpoints of a run on disk, from which it goes on to the bit.

Lightning's own checkpoints are not used: they keep no random states, restart the loader in the
middle of an epoch, and skip a validation that was due at the step of the checkpoint (2.6,
`_TrainingEpochLoop.advance`). Here a batch is a function of the step, so a small file, and a
Trainer that starts at an offset, resume exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from mta_lab.errors import described
from mta_lab.training import tensors
from mta_lab.training.result import GivenAwayError

KEPT = 2  # checkpoints a run: if one is damaged, the run goes on from the one before
PATTERN = "*.ckpt"


@dataclass(frozen=True, kw_only=True)
class RunState:
    """The state of a run after `step` optimizer steps.

    It holds tensors and plain data only, so that torch loads it with weights_only.
    """

    fingerprint: str
    step: int
    """also the position in the data: the next batch is item `step`"""
    model: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    random: list[Tensor]
    """torch's random states, the CPU's and each GPU's; batches and weights have their own"""
    progress_callback: dict[str, Any]
    """the progress that was reported, and the loss that is about to be"""
    seconds: float
    peak_memory: int | None
    micro_batches: tuple[int, ...] = ()
    """the sequences read at a time, of each part of the run; none
    in checkpoints of earlier versions"""
    average: dict[str, Any] = field(default_factory=dict)
    """the average of the weights, where the run has one"""
    devices_per_run: int = 1
    """the number that trained it when it was kept; it is kept whole, and goes on on any number"""
    loss_scale: dict[str, Any] = field(default_factory=dict)
    """the scale of the loss, in fp16"""
    machines: tuple[str, ...] = ()
    """the kind of machine of each part of the run; none in checkpoints of earlier versions"""


class Checkpoints:
    """The checkpoints of one run, in a directory named by the run's fingerprint."""

    def __init__(self, directory: Path, owned: Callable[[], bool] = lambda: True, start: Path | None = None) -> None:
        """Begin; `owned` is asked before each file whether this attempt still has the run.

        `start` is the file of the weights from which a stage starts; None for drawn ones.
        """
        self.directory, self._owned, self.start = directory, owned, start
        self.micro_batch: int | None = None
        """sequences that the present attempt reads at a time; None before it has settled on it"""

    def latest(self, say: Callable[[str], None]) -> RunState | None:
        """Return the last usable checkpoint of this run, or None; report and remove the others."""
        for unfinished in self.directory.glob("*.tmp"):
            unfinished.unlink(missing_ok=True)
        for path in self._paths()[::-1]:
            try:
                return self._read(path)
            except Exception as error:  # a damaged file may raise anything
                say(f"cannot use checkpoint {path} ({described(error)}); trying the one before")
                path.unlink(missing_ok=True)
        return None

    def keep(self, state: RunState) -> None:
        """Write `state`, whole or not at all, and remove all but the last `KEPT` checkpoints.

        Raises:
            GivenAwayError: another attempt has the run now.
            OSError: it cannot be written.
        """
        self.refuse_given_away()
        tensors.write(self.directory / f"{state.step:09d}.ckpt", vars(state))
        for old in self._paths()[:-KEPT]:
            old.unlink(missing_ok=True)

    def refuse_given_away(self) -> None:
        """Raise GivenAwayError if another attempt has the run now."""
        if not self._owned():
            raise GivenAwayError

    def _read(self, path: Path) -> RunState:
        state = RunState(**tensors.read(path))
        if state.fingerprint != self.directory.name:
            raise ValueError(f"it is of run {state.fingerprint}")
        return state

    def _paths(self) -> list[Path]:
        """Return the files of all checkpoints, oldest first."""
        return sorted(self.directory.glob(PATTERN))
