"""Opening a study in the journal, whatever a launch that died left there."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState


def open_study(journal: Path, name: str, say: Callable[[str], None], **settings: Any) -> optuna.Study:
    """Return the study `name`, made where it is not there; the caller owns the journal."""
    storage = open_journal(journal, say)
    return optuna.create_study(storage=storage, study_name=name, direction="minimize", load_if_exists=True, **settings)


def open_journal(journal: Path, say: Callable[[str], None]) -> JournalStorage:
    """Return the journal, made where it is not there; a torn last line of it is cut, and said.

    The caller owns it: a lock that is found there is that of a launch which was killed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)  # Optuna would wait for half a minute
    if _cut_torn_line(journal):
        say(f"{journal}: its last line was cut short, and is removed")
    return JournalStorage(JournalFileBackend(str(journal)))


def fail_running(study: optuna.Study) -> list[FrozenTrial]:
    """Fail the trials that a launch left running, and return them."""
    left = study.get_trials(states=(TrialState.RUNNING,))
    for trial in left:
        study.tell(trial.number, state=TrialState.FAIL)
    return left


def _cut_torn_line(journal: Path) -> bool:
    """Cut what follows the last whole line, as a crash or a full disk leaves it; whether there was any."""
    if not journal.exists():
        return False
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(journal, whole)
    return whole < len(content)
