"""`mta-lab settings`: every key that can be set: type, default, allowed values, meaning."""

import sys
from dataclasses import astuple
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from mta_lab import lab
from mta_lab.cli.arguments import Components
from mta_lab.cli.terminal import make_console

if TYPE_CHECKING:
    from mta_lab.config.catalogue import Section

COLUMNS = ("section", "key", "type", "default", "allowed", "line")


def settings(
    pattern: Annotated[
        str, typer.Argument(metavar="[PATTERN]", help="a part of a key, of a component's name or of a line; or model.*")
    ] = "",
    components: Components = None,
) -> None:
    """List every key that can be set, and the scales.

    With type, default, allowed values and meaning; in a pipe, separated by tabs.
    """
    found, console = lab.catalogue.fitting(pattern, components or []), make_console()
    if not console.is_terminal:
        rows = [(section.title, *astuple(setting)) for section in found for setting in section.settings]
        sys.stdout.writelines("\t".join(line) + "\n" for line in [COLUMNS, *rows])
        return
    width = max(len(setting.key) for section in found for setting in section.settings)
    for section in found:
        _print(section, width, console)


def _print(section: "Section", width: int, console: Console) -> None:
    table = RichTable(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(width=width, no_wrap=True, style="cyan")
    table.add_column()
    for setting in section.settings:
        values = f"{': '.join(filter(None, [setting.kind, setting.allowed]))}; {lab.catalogue.default_of(setting)}"
        table.add_row(setting.key, Text.assemble(f"{setting.line}\n", (values, "dim")))
    console.print(section.title, style="bold")
    console.print(section.about)
    console.print(table)
    console.print()
