"""Fixtures of runs that are asked questions."""

import shutil
from pathlib import Path

import pytest

import mta_lab
from tests.lab.asked import sweep, train_rows


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs that were trained in three steps, and their text."""
    folder = tmp_path_factory.mktemp("asked")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train_rows()
    return folder


@pytest.fixture
def asked(trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> mta_lab.LoadedSweep:
    """Return the sweep of these runs, whose records no other test has written to."""
    monkeypatch.chdir(trained_folder)
    results, pristine = Path("results"), Path("pristine")
    if not pristine.exists():
        shutil.copytree(results, pristine)
    shutil.rmtree(results)
    shutil.copytree(pristine, results)
    return mta_lab.load(sweep(), quiet=True)
