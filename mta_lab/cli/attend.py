"""`mta-lab attend`: a picture of a trained run's attention on a text."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli.arguments import (
    DEFAULT_SCALE,
    Components,
    Output,
    RowAndSettings,
    RunName,
    Scale,
    Seed,
    row_under,
)
from mta_lab.cli.terminal import Terminal


def attend(
    run: RunName,
    words: RowAndSettings = None,
    text: Annotated[
        str | None, typer.Option(help="what the model reads; a synthetic run draws a sequence where there is none")
    ] = None,
    layer: Annotated[int | None, typer.Option(min=1, help="layer, counted from 1; default: the most telling")] = None,
    head: Annotated[int | None, typer.Option(min=1, help="head, counted from 1; default: the most telling")] = None,
    seed: Seed = None,
    scale: Scale = DEFAULT_SCALE,
    components: Components = None,
    output: Output = None,
) -> None:
    """Draw the attention of a trained run on a text.

    Shows the maps before and after the operations: `mta-lab attend NAME ROW`.
    """
    file, (row, under) = lab.drawing.checked(output), row_under(words, scale, components=components)
    found, _ = lab.trained.find_run(run, row, seed, under, Terminal())
    panels, line = lab.drawing.attention_panels(found, lab.trained.reading_for(found, text), layer, head)
    print(line)
    print(lab.drawing.write_picture(file, "attend", found, panels))
