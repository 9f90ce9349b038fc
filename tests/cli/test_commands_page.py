"""docs/commands.md knows every command."""

import re
from pathlib import Path
from typing import Any

import typer

from mta_lab.cli.app import app

TEXT = (Path(__file__).parents[2] / "docs/commands.md").read_text(encoding="utf-8")


def commands(group: Any, before: str = "mta-lab") -> list[str]:
    """Return the words of all commands of a group, those of its groups, too."""
    found = []
    for name, command in group.commands.items():
        words = f"{before} {name}"
        found += commands(command, words) if hasattr(command, "commands") else [words]
    return found


COMMANDS = commands(typer.main.get_command(app))


def test_every_command_stands_on_the_page() -> None:
    assert not [words for words in COMMANDS if words not in TEXT]


def test_the_page_names_no_command_that_there_is_not() -> None:
    known = {words.split()[1] for words in COMMANDS}
    assert set(re.findall(r"^mta-lab ([a-z][a-z-]*)", TEXT, re.MULTILINE)) <= known
