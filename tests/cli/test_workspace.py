"""`--directory` and MTA_LAB_HOME: every command works in another folder as if started there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mta_lab.cli import main
from tests.cli.conftest import Command


def run(directory: Path, *arguments: str, home: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command from `directory`, with MTA_LAB_HOME set where `home` is given."""
    code = "from mta_lab.cli import main; main()"
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "", "HOME": str(directory)}
    command = [sys.executable, "-c", code, *arguments]
    environment |= {"MTA_LAB_HOME": home} if home else {}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("by", ["option", "variable"])
def test_results_are_read_in_the_directory_that_is_named(by: str, tmp_path: Path) -> None:
    runs = tmp_path / "elsewhere" / "results" / "runs"
    runs.mkdir(parents=True)
    (runs / "0123456789abcdef.json").touch()
    assert "0 finished" in run(tmp_path, "status").stdout
    option = ["--directory", "elsewhere"] if by == "option" else []
    done = run(tmp_path, *option, "status", home="elsewhere" if by == "variable" else "")
    assert "1 finished" in done.stdout


def test_a_directory_that_is_not_there_is_refused_in_a_line(tmp_path: Path) -> None:
    done = run(tmp_path, "--directory", "nowhere", "status")
    assert done.returncode == 2
    assert done.stderr == (
        "mta-lab: --directory (or MTA_LAB_HOME): got 'nowhere', which cannot be entered: No such file or directory; "
        "make it with mkdir first\n"
    )


def test_the_option_stands_in_the_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["mta-lab", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert "MTA_LAB_HOME" in capsys.readouterr().out


SWEEP = """
title: Two
rows: {plain: {attention: softmax}, more: {attention: talking_heads}}
base: {data.corpus: stdlib}
"""
COMMANDS = (
    ("status",),
    ("status", "two.yaml"),
    ("report", "two.yaml"),
    ("why", "two.yaml", "plain"),
    ("results", "archive", "two.yaml"),
    ("kernels", "two.yaml", "plain"),
    ("sync", "two.yaml"),
    ("new", "norms", "third_norm"),
    ("data", "show", "data.corpus=stdlib"),
    ("data", "verify", "data.corpus=stdlib"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("given", ["typed", "by the environment", "here"])
def test_a_suggested_command_reaches_the_same_directory(
    given: str, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lab: Command
) -> None:
    """It repeats a typed `--directory`, quoted, and no directory that need not be typed."""
    place = tmp_path / "my results"
    place.mkdir()
    (place / "two.yaml").write_text(SWEEP)
    monkeypatch.chdir(place if given == "here" else tmp_path)
    if given == "by the environment":
        monkeypatch.setenv("MTA_LAB_HOME", "my results")
    typed = ["--directory", "my results"] if given == "typed" else []
    done = lab(*typed, *command)
    suggested = re.findall(r"mta-lab(?!:)(?: --directory (?:'[^']*'|\S+))? [a-z]+", done.out + done.err)
    assert suggested, f"it suggests nothing: {done.out}{done.err}"
    for words in map(shlex.split, suggested):
        assert words[1:-1] == typed, f"{words} does not reach the directory"


@pytest.mark.parametrize("given", ["typed", "by the environment", "here"])
def test_a_suggested_removal_names_the_file_from_where_the_user_is(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lab: Command
) -> None:
    place = tmp_path / "my results"
    damaged = place / "results" / "launch.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    monkeypatch.chdir(place if given == "here" else tmp_path)
    start = Path.cwd()
    if given == "by the environment":
        monkeypatch.setenv("MTA_LAB_HOME", "my results")
    typed = ["--directory", "my results"] if given == "typed" else []
    done = lab(*typed, "status")
    (line,) = re.findall(r"rm (.*)", done.out + done.err)
    assert (start / shlex.split(line)[0]).samefile(damaged)
