"""The searches of another journal, taken into ours.

Its runs are not: their records say the same and more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from mta_lab.scheduling.journal import MOST, checked, journal_trouble_said, open_journal
from mta_lab.scheduling.trials import ENDED
from mta_lab.strict import opened


@dataclass
class Taken:
    """The outcome of a merge: another journal's searches, by the names of their studies."""

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    """the search is here with other trials, which were kept"""


def take_searches(journal: Path, other: Path, say: Callable[[str], None], *, replace: bool) -> Taken:
    """Copy each search that `other` has and we have not, or have less of.

    With `replace`, copy one that differs, too.

    Trials of two searches are never mixed: each was proposed by what its own journal knew. The
    caller owns `journal`.
    """
    taken = Taken()
    with journal_trouble_said(other), opened(other, MOST):
        theirs = JournalStorage(JournalFileBackend(str(other)))
        found = _searches(theirs)
    with journal_trouble_said(journal):
        ours = open_journal(journal, say)
        here = _searches(ours)
    for name, trials in found.items():
        known = here.get(name, [])
        if known[: len(trials)] == trials:
            continue
        if trials[: len(known)] != known and not replace:
            taken.conflicts.append(name)
            continue
        if name in optuna.get_all_study_names(ours):
            optuna.delete_study(study_name=name, storage=ours)
        optuna.copy_study(from_study_name=name, from_storage=theirs, to_storage=ours)
        (taken.replaced if trials[: len(known)] != known else taken.added).append(name)
    return taken


def _searches(storage: JournalStorage) -> Mapping[str, list[Any]]:
    """Return the searches with a trial that ended, by name.

    A trial that is a run of a row has the run's fingerprint.
    """
    found = {}
    for name in optuna.get_all_study_names(storage):
        study = checked(optuna.load_study(study_name=name, storage=storage))
        trials = study.get_trials(deepcopy=False, states=ENDED)
        if trials and not any("fingerprint" in trial.user_attrs for trial in trials):
            found[name] = [(trial.state, trial.params, trial.values, trial.datetime_start) for trial in trials]
    return found
