"""The commands that pages and the coverage list of the paper name can be typed as they stand."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from mta_lab.cli.app import app
from mta_lab.report.items import items
from mta_lab.sweep.ledger import contents

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands_of(page: Path) -> list[str]:
    """Return the commands of `mta-lab` in the shell blocks of a page."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return re.findall(r"^mta-lab .*", "\n".join(blocks).replace("\\\n", " "), re.MULTILINE)


TYPED = list(dict.fromkeys(command for page in PAGES for command in commands_of(page)))


def parse(command: str) -> None:
    """Raise where a command or an option is unknown, or what it needs is missing; run nothing."""
    one: Any = typer.main.get_command(app)
    words = shlex.split(command, comments=True)[1:]
    while commands := getattr(one, "commands", {}):
        place = next(place for place, word in enumerate(words) if word in commands)  # after the group's own options
        one, words = commands[words[place]], words[place + 1 :]
    one.make_context("mta-lab", words)


def test_pages_have_commands() -> None:
    assert len(TYPED) > 100


@pytest.mark.parametrize("command", [one for one in TYPED if "--install-completion" not in one])
def test_a_command_of_a_page_can_be_typed_as_it_stands(command: str) -> None:
    parse(command)


def test_a_command_that_shows_an_item_can_be_typed_as_it_stands(tmp_path: Path) -> None:
    commands = [command for item in contents().values() for command in item.get("commands", ())]
    assert len(commands) >= 3
    for command in commands:
        parse(command)
        assert f"| `{command}` |" in items(tmp_path)
