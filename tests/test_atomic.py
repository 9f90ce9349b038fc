"""Folders that are written whole, or not at all."""

import errno
from pathlib import Path

import pytest

from mta_lab.atomic import UnwritableError, whole_folder


def test_a_folder_is_there_once_all_of_it_is_written(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "new") as scratch:
        (scratch / "file").write_text("all")
        assert not (tmp_path / "new").exists()
    assert [file.read_text() for file in (tmp_path / "new").iterdir()] == ["all"]
    assert [*tmp_path.iterdir()] == [tmp_path / "new"]


def test_a_full_disk_leaves_nothing_of_it_and_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnwritableError, match=r"new: cannot be written: No space left on device$"):
        fill(tmp_path / "new")
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(UnwritableError, match="cannot be written: Directory not empty"), whole_folder(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "kept"


def fill(folder: Path) -> None:
    """Write a file, and find the disk full at the next one."""
    with whole_folder(folder) as scratch:
        (scratch / "file").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
