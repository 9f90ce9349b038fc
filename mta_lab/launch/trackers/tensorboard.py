"""Curves for TensorBoard, a folder a run: `tensorboard --logdir results/tensorboard`."""

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from mta_lab.config import flatten, in_words
from mta_lab.launch.events import (
    Event,
    LaunchEnded,
    RunFailed,
    RunFinished,
    RunProgressed,
    RunPruned,
    RunRequeued,
    RunStarted,
    RunStopped,
)
from mta_lab.launch.outlook import Outlook
from mta_lab.planning.runs import Run

FOLDER = "tensorboard"


class Tracker:
    """Keeps a writer for each run that is being trained; a new attempt replaces the last one."""

    def __init__(self, sweep: str, directory: Path) -> None:
        self._folder = directory / FOLDER / sweep
        self._writers: dict[str, SummaryWriter] = {}

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Write the numbers of a run's progress, and at its end its settings beside its score."""
        match event:
            case RunStarted(run=run):
                self._close(run)
                folder = self._folder / f"{run.label.replace('/', '-')} {run.fingerprint}"
                self._writers[run.fingerprint] = SummaryWriter(str(folder), purge_step=0)
            case RunProgressed(run=run, progress=progress):
                for name, value in progress.points.items():
                    self._writers[run.fingerprint].add_scalar(name, value, progress.step)
            case RunFinished(run=run, record=record):
                settings = {key: in_words(value) for key, value in flatten(run.config).items()}
                scored = {f"val/{record.quantity}": record.score}
                self._writers[run.fingerprint].add_hparams(settings, scored, run_name=".")
                self._close(run)
            case RunFailed(run=run) | RunPruned(run=run) | RunRequeued(run=run) | RunStopped(run=run):
                self._close(run)
            case LaunchEnded():
                for writer in self._writers.values():
                    writer.close()

    def _close(self, run: Run) -> None:
        if writer := self._writers.pop(run.fingerprint, None):
            writer.close()
