"""A journal, and the look of an outsider into it."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "results" / "optuna.journal"


def plain_study(journal: Path, name: str = "table") -> optuna.Study:
    """The study as a user of Optuna opens it."""
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(journal))))
