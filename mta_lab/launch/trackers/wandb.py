"""Curves for Weights & Biases: kept offline, for `wandb sync`, unless WANDB_MODE says otherwise."""

import os
from pathlib import Path
from typing import Any

import wandb

from mta_lab.config import flatten
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


class Tracker:
    """Keeps a run of W&B for each run that is being trained: a project a sweep, a group a row."""

    def __init__(self, sweep: str, directory: Path) -> None:
        self._sweep, self._directory = sweep, directory
        self._runs: dict[str, Any] = {}

    def hear(self, event: Event, outlook: Outlook) -> None:
        """Log the numbers of a run's progress, and how it ended."""
        match event:
            case RunStarted(run=run):
                self._finish(run, 1)
                self._runs[run.fingerprint] = self._started(run)
            case RunProgressed(run=run, progress=progress):
                self._runs[run.fingerprint].log(progress.points, step=progress.step)
            case RunFinished(run=run, record=record):
                self._runs[run.fingerprint].summary["score"] = record.score
                self._finish(run, 0)
            case RunPruned(run=run):
                self._finish(run, 0)
            case RunFailed(run=run) | RunRequeued(run=run) | RunStopped(run=run):
                self._finish(run, 1)
            case LaunchEnded():
                for open_run in self._runs.values():
                    open_run.finish(exit_code=1)

    def _started(self, run: Run) -> Any:
        return wandb.init(
            project=self._sweep,
            name=run.label,
            group=run.row,
            id=run.fingerprint,
            resume="allow",
            config=flatten(run.config),
            dir=str(self._directory),
            mode=os.environ.get("WANDB_MODE", "offline"),
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True),
        )

    def _finish(self, run: Run, status: int) -> None:
        if open_run := self._runs.pop(run.fingerprint, None):
            open_run.finish(exit_code=status)
