"""Opening a study in the journal, whatever a launch that died left there."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from mta_lab.errors import UserError, described
from mta_lab.locks import held_here
from mta_lab.strict import FaultError, content, opened, shortened
from mta_lab.workspace import LAUNCH_LOCK, in_shell

MOST = 1 << 32  # bytes of a journal
Direction = Literal["minimize", "maximize"]
"""what a study does with scores"""


def open_study(
    journal: Path, name: str, say: Callable[[str], None], direction: Direction = "minimize", **settings: Any
) -> optuna.Study:
    """Return the study `name`, made with that direction if missing; the caller owns the journal."""
    with journal_trouble_said(journal):
        storage = open_journal(journal, say)
        made = optuna.create_study(
            storage=storage, study_name=name, direction=direction, load_if_exists=True, **settings
        )
        return checked(made)


def study_at_hand(journal: Path, name: str) -> optuna.Study | None:
    """Return the study `name` for reading, also while another process writes; None without."""
    with journal_trouble_said(journal):
        try:
            with opened(journal, MOST):
                storage = JournalStorage(JournalFileBackend(str(journal)))
        except (FileNotFoundError, NotADirectoryError):
            return None
        if name not in optuna.get_all_study_names(storage):
            return None
        return checked(optuna.load_study(study_name=name, storage=storage))


def checked(study: optuna.Study) -> optuna.Study:
    """Return a study with trials as Optuna writes them; raise FaultError for others.

    Optuna itself checks little of it.
    """
    if len(study.directions) != 1:
        raise FaultError(f"{study.study_name} has {len(study.directions)} directions of better, in place of one")
    for trial in study.get_trials(deepcopy=False):
        scores = trial.values if trial.state == TrialState.COMPLETE else []
        if trial.state == TrialState.COMPLETE and (not scores or len(scores) != 1):
            raise FaultError(f"trial {trial.number} of {study.study_name} has no score")
        for score in (*scores, *trial.intermediate_values.values()):
            if type(score) not in (int, float) or not abs(score) < math.inf:
                raise FaultError(f"trial {trial.number} of {study.study_name} has the score {shortened(score)}")
    return study


@contextmanager
def journal_trouble_said(journal: Path) -> Iterator[None]:
    """Make one line of what a damaged journal leads to, which may be anything.

    A full disk is said elsewhere.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        place = in_shell(journal)
        aside = journal.with_name(f"{journal.name}.damaged")
        kept = "finished runs are kept without it, trials of a search are not"
        fault = str(error) if isinstance(error, FaultError) else described(error)
        raise UserError(f"{journal}: cannot be read ({fault}); {kept}; type: mv {place} {in_shell(aside)}") from None


def open_journal(journal: Path, say: Callable[[str], None]) -> JournalStorage:
    """Return the journal, made where it is not there; a torn last line of it is cut, and said.

    The caller owns it. Where this process has the launch's lock, a lock of Optuna's that is found
    there is that of a launch which was killed; Optuna would wait for it for half a minute.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    if journal.is_symlink():  # Optuna would follow it
        raise FaultError("it is a symbolic link, which is not followed; link the folder")
    if held_here(journal.parent / LAUNCH_LOCK):
        journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
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
    """Cut what follows the last whole line; return whether there was any.

    A crash or a full disk leaves such a rest.
    """
    try:
        found = content(journal, MOST)
    except FileNotFoundError:
        return False
    whole = found.rfind(b"\n") + 1
    if whole < len(found):
        os.truncate(journal, whole)
    return whole < len(found)
