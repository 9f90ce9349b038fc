"""The temporary folder of a Ray that is started here; none stays for ever."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from mta_lab.children import python
from mta_lab.executors.ray.folder import Folder
from mta_lab.executors.ray.node import short_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from mta_lab.executors.ray.folder import Folder
(Folder(Path(sys.argv[1])).path / "socket").touch()
os.kill(os.getpid(), signal.SIGKILL)
"""
SOCKET = "session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store"  # as Ray names its longest


def test_sockets_have_paths_that_are_short_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = Folder(tmp_path).path.name
    taken = []
    for letters in range(1, 40):
        monkeypatch.setattr(tempfile, "tempdir", f"/{'x' * letters}")
        parent = short_folder()
        assert len(str(parent / name / "r" / SOCKET)) <= 107
        taken.append(str(parent) != "/tmp")
    assert 20 < sum(taken) < 39


def test_the_next_start_removes_what_a_killed_process_left_and_nothing_else(tmp_path: Path) -> None:
    assert subprocess.run(python("-c", KILLED, str(tmp_path)), check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    living = Folder(tmp_path)
    assert left.exists(), "its process may be starting"
    for folder in tmp_path.iterdir():
        os.utime(folder, (0, 0))
    (tmp_path / "mta-ray-link").symlink_to(tmp_path)
    last = Folder(tmp_path)
    assert {*tmp_path.iterdir()} == {living.path, last.path, tmp_path / "mta-ray-link"}
    assert last.path.stat().st_mode & 0o077 == 0
    for folder in (living, last):
        folder.remove()
        assert not folder.path.exists()
