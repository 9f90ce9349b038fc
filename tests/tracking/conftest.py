"""A store of its own for each test, and patience with it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient


@pytest.fixture(scope="package", autouse=True)
def patient() -> Iterator[None]:
    """Let a launch's end wait for a slow store: on a busy machine its creation takes a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mta_lab.tracking.tracker.PATIENCE", 500.0)
        yield


@pytest.fixture(scope="package")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as MLflow makes it, which takes seconds; tests copy it."""
    file = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def store(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the default store, empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return tmp_path
