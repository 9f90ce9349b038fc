"""Arguments and options that several commands take."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mta_lab.cli import completion
from mta_lab.lab.conditions import Conditions
from mta_lab.words import parse_duration

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
        help="sizes of model, data and training: nano, micro, small, paper-300m ... paper-1b",
        autocompletion=completion.scales,
    ),
]
Seeds = Annotated[int | None, typer.Option(min=1, help="how many seeds of each row; default: as the sweep says")]
Components = Annotated[
    list[Path] | None, typer.Option("--components", help="a file or directory with components of your own; repeatable")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="worker processes; default: as many as the GPUs can take, or else one for each core"),
]
Devices = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="the GPUs to train on, like 0,1; default: all that are visible"),
]
WorkersPerDevice = Annotated[int | None, typer.Option(min=1, help="worker processes that share a GPU; default: 1")]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FACTS|FILE",
        help="a GPU that need not be here, for times and memory by arithmetic: h100, h200, a100-80gb ..., facts like "
        "memory=80GB,bf16=990e12, or a YAML file of these",
    ),
]
DevicesPerRun = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="GPUs that train each run together (FSDP2), each step being that of one GPU up to rounding: for models "
        "that one cannot hold; on a CPU, processes",
    ),
]
Launcher = Annotated[
    str | None,
    typer.Option(
        metavar="local|ray|slurm",
        help="what trains the runs: processes here, a Ray cluster, or Ray on nodes that Slurm gives; default: as "
        "launcher.yaml says, or else local",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="the head of a Ray cluster; default: one is started here, for this launch",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="torch threads of each run on a cluster, and the cores that it asks for; default: 1"),
]
Slurm = Annotated[
    list[str] | None,
    typer.Option("--slurm", metavar="KEY=VALUE", help="an option of sbatch, like partition=gpu; repeatable"),
]
TrialTimeout = Annotated[
    str | None, typer.Option(metavar="TIME", help="end an attempt at a run that takes longer than this, like 30m")
]
Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="csv|tensorboard|wandb",
        help="copy the curves of runs to this tracker, too, beside MLflow; repeatable",
    ),
]
RowAndSettings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ROW] [KEY=VALUE]...",
        help="the sweep's row, and the settings that it (or `train`) was run with",
        autocompletion=completion.rows,
    ),
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE|FINGERPRINT",
        help="a sweep, `train`, or one run: its fingerprint (the start is enough), or its record in results/runs",
        autocompletion=completion.sweeps,
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, help="one of the row's seeds; default: the first")]
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="a file that ends in .html, .png, .pdf or .svg; default: one in results/pictures"
    ),
]
DEFAULT_SCALE = "nano"


def conditions(
    settings: Sequence[str] | None, scale: str, seeds: int | None = None, components: Sequence[Path] | None = None
) -> Conditions:
    """Return what is said of a sweep beside its name."""
    return Conditions(settings=tuple(settings or ()), scale=scale, seeds=seeds, components=tuple(components or ()))


def row_and_settings(words: Sequence[str] | None) -> tuple[str, list[str]]:
    """Return a row's name (empty if none is given) and the KEY=VALUE settings around it."""
    words = words or ()
    return " ".join(word for word in words if "=" not in word), [word for word in words if "=" in word]


def row_under(
    words: Sequence[str] | None, scale: str, seeds: int | None = None, components: Sequence[Path] | None = None
) -> tuple[str, Conditions]:
    """Return a row's name (empty if none is given), and the conditions that hold for it."""
    row, settings = row_and_settings(words)
    return row, conditions(settings, scale, seeds, components)


def duration(text: str | None, option: str) -> float | None:
    """Return the seconds of a duration like 45m, None of none."""
    return None if text is None else parse_duration(text, option)
