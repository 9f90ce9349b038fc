"""Arguments and options that several commands take."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mta_lab.cli import completion

SweepName = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE", help="a shipped sweep, or a YAML file of your own", autocompletion=completion.sweeps
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="settings that win over every row's, like model.heads=8 (`mta-lab settings` lists them)",
    ),
]
Scale = Annotated[
    str,
    typer.Option(
        help="sizes of model, data and training: nano, small, paper-300m ... paper-1b",
        autocompletion=completion.scales,
    ),
]
Seeds = Annotated[int | None, typer.Option(min=1, help="how many seeds of each row; default: as the sweep says")]
Components = Annotated[
    list[Path] | None, typer.Option("--components", help="a file or directory with components of your own; repeatable")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="worker processes; default: one for each core, or 1 with a GPU")
]
TrialTimeout = Annotated[
    str | None, typer.Option(metavar="TIME", help="end an attempt at a run that takes longer than this, like 30m")
]
DEFAULT_SCALE = "nano"


def row_and_settings(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return a row's name, empty where none is given, and the KEY=VALUE settings before or behind it."""
    return " ".join(word for word in words if "=" not in word), [word for word in words if "=" in word]
