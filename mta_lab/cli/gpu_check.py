"""`mta-lab gpu-check`: does all of this work on the GPU that is here, and how fast?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as RichTable

from mta_lab import lab
from mta_lab.cli.terminal import make_console


def gpu_check(
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="the JSON file of all that is found, written after each stage")
    ],
    only: Annotated[list[str] | None, typer.Option(metavar="STAGE", help="run this stage alone; repeatable")] = None,
    device: Annotated[str, typer.Option(hidden=True, help="cpu: run small stages without a GPU")] = "cuda",
) -> None:
    """Check a machine with a GPU in at most 8 minutes.

    Without a GPU, say what would be done. Each stage is a process of its own with a limit. The exit
    status is 1 if one failed.
    """
    stages, console = lab.gpu_checking.stages_of(only or []), make_console()
    why_not = lab.gpu_checking.missing() if device == "cuda" else ""
    if why_not:
        table = RichTable(title="What gpu-check does on a machine with a GPU")
        table.add_column("stage")
        table.add_column("seconds at most", justify="right")
        table.add_column("shows", overflow="fold")
        for stage in stages:
            table.add_row(stage.name, str(stage.limit) if stage.built else "not built", stage.proves)
        console.print(table)
    passed = lab.gpu_checking.checked(
        out,
        stages,
        device,
        lambda stage, said: None if why_not else console.print(f"{stage.name}: {said}", markup=False),
    )
    if why_not:
        console.print(f"Nothing was run: {why_not}. {out} says so of each stage.", markup=False, soft_wrap=True)
    raise typer.Exit(0 if passed else 1)
