"""`mta-lab generate`: let the model of a finished run continue a text."""

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


def generate(
    run: RunName,
    words: RowAndSettings = None,
    prompt: Annotated[
        str | None, typer.Option(help="what the model reads first; default: the start of a document")
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(min=1, help="how many to write at most; default: 64, or as many as the context has room for"),
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="0 takes the most likely token; above, tokens are drawn, the higher the more evenly")
    ] = 0.0,
    top_p: Annotated[
        float, typer.Option(help="draw among the most likely tokens that have this probability together")
    ] = 1.0,
    draw: Annotated[
        int,
        typer.Option(min=0, help="the seed of what is drawn: each number gives another text, and the same one again"),
    ] = 0,
    seed: Seed = None,
    scale: Scale = DEFAULT_SCALE,
    components: Components = None,
) -> None:
    """Continue a text with the model of a finished run.

    Prints what follows the prompt, token by token: `mta-lab generate NAME ROW --prompt TEXT`.
    """
    choice, display = lab.generating.sampling(temperature, top_p, draw), Terminal()
    row, under = row_under(words, scale, components=components)
    found, _ = lab.trained.find_run(run, row, seed, under, display)
    pieces = lab.generating.pieces(found, prompt, tokens, choice)
    if why := lab.generating.uncached(found):
        display.note(why)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
