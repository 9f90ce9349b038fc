"""`mta-lab note`: write down what there is to say of a finished run."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli.arguments import (
    DEFAULT_SCALE,
    Components,
    RowAndSettings,
    RunName,
    Scale,
    Seed,
    row_under,
)
from mta_lab.cli.terminal import Terminal


def note(
    run: RunName,
    words: RowAndSettings = None,
    scale: Scale = DEFAULT_SCALE,
    seed: Seed = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help='the note; "" takes it away; default: show the one that is kept')
    ] = None,
    components: Components = None,
) -> None:
    """Keep a note on a finished run, or show it.

    Tables and pages show it below, MLflow as the run's description; `results` carries it along.
    """
    display, (row, under) = Terminal(), row_under(words, scale, components=components)
    kept = lab.noting.note(run, row, seed, text, under, display)
    display.console.print(kept or "no note is kept", soft_wrap=True)
