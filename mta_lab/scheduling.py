"""Optuna: each cell of a sweep is a trial of the sweep's study. The only importer of optuna.

The plan is ours and Optuna runs it: a cell is enqueued when a worker is free for it and asked for at once, so the
sampler never invents a trial. One process at a time owns the journal (see `mta_lab.worker.launch`).
"""

import os
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState, create_trial


class Study:
    """The Optuna study of one sweep."""

    def __init__(self, journal: Path, name: str, say: Callable[[str], None]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        journal.parent.mkdir(parents=True, exist_ok=True)
        if _cut_torn_line(journal):
            say(f"{journal}: its last line was cut short, and is removed")
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal))),
            study_name=name,
            direction="minimize",
            load_if_exists=True,
        )
        self._running: dict[str, Trial] = {}
        self._complete = set()
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state == TrialState.COMPLETE:
                self._complete.add(trial.user_attrs["fingerprint"])
            elif trial.state == TrialState.RUNNING:  # left behind by a launch that died
                self._study.tell(trial.number, state=TrialState.FAIL)
            elif trial.state == TrialState.WAITING:  # the same; only a trial that was asked for can be told
                self._study.tell(self._study.ask(), state=TrialState.FAIL)

    def claim(self, fingerprint: str, row: str, seed: int) -> None:
        """Start the trial of a cell."""
        self._study.enqueue_trial({}, user_attrs={"fingerprint": fingerprint, "row": row, "seed": seed})
        trial = self._study.ask()
        if trial.user_attrs["fingerprint"] != fingerprint:
            raise RuntimeError(f"the study handed out {trial.user_attrs}, not {row} seed {seed}")
        self._running[fingerprint] = trial

    def report(self, fingerprint: str, step: int, score: float) -> None:
        """Note a validation of a running cell."""
        self._running[fingerprint].report(score, step)

    def finish(self, fingerprint: str, score: float) -> None:
        """Complete the trial of a cell."""
        self._study.tell(self._running.pop(fingerprint), score)
        self._complete.add(fingerprint)

    def fail(self, fingerprint: str, reason: str) -> None:
        """Fail the trial of a cell, with its reason."""
        trial = self._running.pop(fingerprint)
        trial.set_user_attr("reason", reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def adopt(self, fingerprint: str, row: str, seed: int, score: float) -> None:
        """Enter a cell that another sweep finished, unless it is here already."""
        if fingerprint not in self._complete:
            attributes = {"fingerprint": fingerprint, "row": row, "seed": seed}
            self._study.add_trial(create_trial(value=score, user_attrs=attributes))
            self._complete.add(fingerprint)


def _cut_torn_line(journal: Path) -> bool:
    """Cut what follows the last whole line, as a crash or a full disk leaves it; whether there was any."""
    if not journal.exists():
        return False
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(journal, whole)
    return whole < len(content)
