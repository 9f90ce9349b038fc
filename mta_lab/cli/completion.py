"""Shell completion: names of sweeps, rows, scales and formats.

Each Tab is a process of its own, so names are read from files here, and nothing that imports torch
is loaded.
"""

import os
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import typer

from mta_lab.strict import content

MOST = 1 << 20  # bytes of a file: nobody waits at the Tab key for more
NO_SWEEP = "paper"  # the ledger of published values lies beside the sweeps
FORMATS = ("rich", "markdown", "latex", "json", "csv", "html", "pdf", "png", "svg")


def scales() -> list[str]:
    """Return the names of the scales."""
    return _stems(resources.files("mta_lab") / "config" / "scales")


def formats() -> list[str]:
    """Return the formats of `report`."""
    return list(FORMATS)


def sweeps() -> list[str]:
    """Return the shipped sweeps and the YAML files of this directory."""
    return [*_shipped(), *(path.name for path in sorted(Path().glob("[!.]*.y*ml")))]


def sweeps_or_all() -> list[str]:
    """Return what `report` and `sync` take: a sweep, or all of them."""
    return [*sweeps(), "all"]


def rows(context: typer.Context) -> list[str]:
    """Return the rows that the sweep's file writes out.

    Rows that the file generates are not offered.
    """
    from ruamel import yaml  # noqa: PLC0415  every other command and completion is quicker without

    given = str(context.params.get("name") or context.params.get("run") or "")
    meant = given.replace("-", "_")
    file: Traversable = resources.files("sweeps") / f"{meant}.yaml" if meant in _shipped() else Path(given)
    try:
        found = yaml.YAML(typ="base", pure=True).load(content(Path(str(file)), MOST).decode())
    except (OSError, ValueError, yaml.error.YAMLError, RecursionError):  # an unreadable file has no rows to offer
        return []
    named: Any = found.get("rows") if isinstance(found, dict) else None
    written = named if isinstance(named, dict) else {}
    names = [name for name, row in written.items() if not (isinstance(row, dict) and row.keys() & {"grid", "zip"})]
    return [_typed(name) for name in names if isinstance(name, str) and name.isprintable()]


def _typed(name: str) -> str:
    """Return a name as it is typed, quoted for bash.

    Bash inserts what it is given; other shells quote it themselves.
    """
    bash = os.environ.get("_MTA_LAB_COMPLETE", "").endswith("bash")
    return re.sub(r"([^\w@%+=:,./-])", r"\\\1", name) if bash else name


def _shipped() -> list[str]:
    return [name for name in _stems(resources.files("sweeps")) if name != NO_SWEEP]


def _stems(folder: Traversable) -> list[str]:
    return sorted(path.name.removesuffix(".yaml") for path in folder.iterdir() if path.name.endswith(".yaml"))
