"""The inside of the command line: one file a command, named as the command."""

from pathlib import Path

import pytest
from typer.main import get_command

from mta_lab.cli.app import app

CLI = Path(__file__).parents[2] / "mta_lab" / "cli"
NO_COMMANDS = {"__init__", "app", "arguments", "bars", "completion", "output", "printable", "terminal"}
COMMANDS = {name.replace("-", "_") for name in get_command(app).commands}
LARGE = {"data_import"}  # commands of a group that have a file of their own


def test_each_command_is_the_file_of_its_name() -> None:
    """And `data` and `results` are groups of commands, a file each."""
    assert {file.stem for file in CLI.glob("*.py")} == COMMANDS | NO_COMMANDS | LARGE


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_file_names_its_command_first(name: str) -> None:
    first = (CLI / f"{name}.py").read_text().partition("\n")[0]
    assert first.startswith(f'"""`mta-lab {name.replace("_", "-")}`: ')
