"""A store of its own for each test, and patience with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="package", autouse=True)
def patient() -> Iterator[None]:
    """A launch's end waits for a store that is only slow: on a busy machine its creation takes a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mta_lab.tracking.tracker.PATIENCE", 500.0)
        yield


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory with the default store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path
