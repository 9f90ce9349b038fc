"""`mta-lab new`: the skeleton is a component that works as it stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command

ROOT = Path(__file__).parents[2]
CONFORMANCE = "tests/components/test_conformance.py"


def test_skeleton_is_a_component_from_the_first_moment(lab: Command, tmp_path: Path) -> None:
    done = lab("new", "attention", "key_shift")
    assert done.status == 0
    file = tmp_path / "key_shift.py"
    assert file.is_file()
    assert "--components key_shift.py" in done.out
    assert "$" not in file.read_text()
    plain = int(lab("params", "--model", "softmax").out)
    assert "key_shift" not in lab("params", "--model", "softmax").out
    own = lab("params", "--model", "key_shift", "--components", "key_shift.py")
    assert int(own.out) > plain


def test_skeleton_shows_up_in_the_list(lab: Command) -> None:
    lab("new", "attention", "key_shift")
    done = lab("components", "--components", "key_shift.py")
    assert "key_shift" in done.out
    assert "start = 1.0" in done.out


def test_skeletons_own_check_speaks_as_the_projects_do(lab: Command) -> None:
    lab("new", "attention", "key_shift")
    settings = ("attention={name: key_shift, start: -1}", "--components", "key_shift.py")
    assert "attention.start: got -1.0, allowed: more than 0" in lab("train", *settings).complaint


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("signal", "a module of Python's standard library"),
        ("random", "a module of Python's standard library"),
        ("struct", "a module of Python's standard library"),
        ("pip", "an installed package"),
        ("torch", "an installed package"),
        ("components", "an installed package"),
        ("class", "a word of Python or YAML"),
        ("none", "a word of Python or YAML"),
        ("null", "a word of Python or YAML"),
        ("sitecustomize", "a file that Python runs by itself"),
        ("conftest", "a file that pytest runs by itself"),
    ],
)
def test_a_name_that_belongs_to_somebody_else_is_refused(name: str, owner: str, lab: Command, tmp_path: Path) -> None:
    expected = f"new: '{name}' is {owner}; choose another name, like {name}_attention"
    assert lab("new", "attention", name).complaint == expected
    assert not list(tmp_path.iterdir())


def test_second_skeleton_overwrites_nothing(lab: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("work of an afternoon")
    assert "mine.py exists already" in lab("new", "attention", "mine").complaint
    assert (tmp_path / "mine.py").read_text() == "work of an afternoon"


def test_skeleton_passes_the_conformance_tests(lab: Command, tmp_path: Path) -> None:
    lab("new", "attention", "key_shift")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "key_shift", CONFORMANCE],
        cwd=ROOT,
        env={**os.environ, "MTA_LAB_COMPONENTS": str(tmp_path / "key_shift.py")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) >= 10


def test_skeleton_is_clean(lab: Command, tmp_path: Path) -> None:
    """What we hand a newcomer to edit passes our own linter; the import order depends on where the file lies."""
    lab("new", "attention", "key_shift")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    command += ["--ignore", "D102,I001", str(tmp_path / "key_shift.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
