"""`mta-lab new`: the skeleton is a component that works as it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from components import FAMILIES
from mta_lab.config import command_line, plain, resolve, scale_layer
from mta_lab.lab import registry
from mta_lab.plugins import load_components
from tests.cli.conftest import Command

ROOT = Path(__file__).parents[2]


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


LEAST = {
    **{
        "attention": 14,
        "evaluations": 12,
        "feed_forward": 13,
        "initialisers": 10,
        "kernel_init": 20,
        "norms": 10,
        "optimizers": 9,
        "positions": 20,
        "residual_norms": 14,
        "schedules": 10,
    },
    **{"score_ops": 25, "tasks": 10},
}
"""tests that a skeleton of the family passes, at least"""


def conformance(folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """Run `pytest --mta-component FILE` in another folder, with a line for each test."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "mta_lab.testing.plugin", "-q", "-rA"]
    return subprocess.run(
        [*command, *(f"--mta-component={file}" for file in files)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_family_has_a_skeleton() -> None:
    assert set(registry.SKELETONS) == set(registry.USES) == set(LEAST) == set(FAMILIES)


def test_skeletons_pass_the_conformance_tests_and_what_breaks_the_contract_is_found(
    lab: Command, tmp_path: Path
) -> None:
    """In one process: a skeleton of each family, and an attention that looks ahead, named twice."""
    for family in LEAST:
        assert f"pytest --mta-component {family}_shift.py" in lab("new", family, f"{family}_shift").out
    lab("new", "attention", "ahead")
    broken = tmp_path / "ahead.py"
    broken.write_text(broken.read_text().replace("is_causal=True", "is_causal=False"))
    done = conformance(tmp_path, *(f"{family}_shift.py" for family in LEAST), "ahead.py", "./ahead.py")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    passed, failed = (re.findall(rf"^{word} .*::(\w+)\[(.*)\]", done.stdout, re.M) for word in ("PASSED", "FAILED"))
    assert ("test_causal", "attention-ahead") in failed
    assert {subject for _, subject in failed} == {"attention-ahead"}
    for family, least in LEAST.items():
        assert len([subject for _, subject in passed if f"{family}_shift" in subject]) >= least


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("nowhere.py", "--mta-component: no such file or directory"), ("empty.py", "registers no component")],
)
def test_a_file_without_components_is_answered_in_one_line(name: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("")
    done = conformance(tmp_path, name)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert complaint in done.stderr


def test_the_plugin_imports_no_torch_until_a_component_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import sys\ndef test_it(): assert 'torch' not in sys.modules\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "mta_lab.testing.plugin", "test_it.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("family", LEAST)
def test_what_a_new_component_is_tried_with_makes_a_run(family: str, lab: Command, tmp_path: Path) -> None:
    typed = lab("new", family, "key_shift").out.partition("mta-lab train ")[2].splitlines()[0]
    *settings, option, file = shlex.split(typed)
    assert option == "--components"
    load_components([tmp_path / file])
    assert "'key_shift'" in str(plain(resolve([scale_layer("nano"), command_line(settings)])))


@pytest.mark.parametrize("family", LEAST)
def test_skeleton_is_clean(family: str, lab: Command, tmp_path: Path) -> None:
    """A file that we hand a newcomer to edit passes our own linter.

    The import order depends on where the file lies.
    """
    lab("new", family, "key_shift")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    command += ["--ignore", "D102,I001", str(tmp_path / "key_shift.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
