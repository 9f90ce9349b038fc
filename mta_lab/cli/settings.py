"""`settings`: every key that can be set, with its type, default, allowed values and a line on it."""

import sys
from collections.abc import Sequence
from dataclasses import astuple, replace
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from mta_lab.cli.common import make_console
from mta_lab.config.catalogue import REQUIRED, Section, Setting, run_settings
from mta_lab.errors import UserError, nearest
from mta_lab.plugins import load_components
from mta_lab.sweep.keys import file_keys

COLUMNS = ("section", "key", "type", "default", "allowed", "line")


def show(pattern: str, components: Sequence[Path]) -> None:
    """Print the keys that fit `pattern`: tables in a terminal, else a line each, its columns separated by tabs."""
    load_components(components)
    everything = [*run_settings(), *file_keys()]
    found = [fitting for section in everything if (fitting := _fitting(section, pattern)).settings]
    if not found:
        keys = [setting.key for section in everything for setting in section.settings]
        hint = nearest(pattern, [*keys, *(key.rpartition(".")[2] for key in keys)]) or ";"
        raise UserError(f"settings: no key fits '{pattern}'{hint} allowed: a part of a key, like training or model.*")
    console = make_console()
    if not console.is_terminal:
        sys.stdout.writelines("\t".join(line) + "\n" for line in _lines(found))
        return
    width = max(len(setting.key) for section in found for setting in section.settings)
    for section in found:
        _print(section, width, console)


def _fitting(section: Section, pattern: str) -> Section:
    """Return the section with the settings that fit: all of them where its title does."""
    if pattern.lower() in section.title.lower():
        return section
    return replace(section, settings=tuple(setting for setting in section.settings if _fits(setting, pattern)))


def _fits(setting: Setting, pattern: str) -> bool:
    return fnmatchcase(setting.key, pattern) or pattern.lower() in f"{setting.key} {setting.line}".lower()


def _lines(sections: Sequence[Section]) -> list[Sequence[str]]:
    rows = [(section.title, *astuple(setting)) for section in sections for setting in section.settings]
    return [COLUMNS, *rows]


def _print(section: Section, width: int, console: Console) -> None:
    table = RichTable(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(width=width, no_wrap=True, style="cyan")
    table.add_column()
    for setting in section.settings:
        table.add_row(setting.key, Text.assemble(f"{setting.line}\n", (_values(setting), "dim")))
    console.print(section.title, style="bold")
    console.print(section.about)
    console.print(table)
    console.print()


def _values(setting: Setting) -> str:
    default = setting.default if setting.default == REQUIRED else f"default: {setting.default}"
    return f"{': '.join(filter(None, [setting.kind, setting.allowed]))}; {default}"
