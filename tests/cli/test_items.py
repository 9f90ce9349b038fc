"""The commands that the coverage list of the paper names are commands of ours."""

from pathlib import Path

from mta_lab.cli.app import app
from mta_lab.report.items import items
from mta_lab.sweep.ledger import contents


def test_a_command_that_shows_an_item_is_one_of_ours(tmp_path: Path) -> None:
    known = {command.name or (command.callback and command.callback.__name__) for command in app.registered_commands}
    commands = [command for item in contents().values() for command in item.get("commands", ())]
    assert len(commands) >= 3
    for command in commands:
        assert command.split()[1] in known, command
        assert f"| `{command}` |" in items(tmp_path)
