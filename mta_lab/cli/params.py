"""`mta-lab params`: how many parameters a model has."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Settings


def params(
    model: Annotated[
        str,
        typer.Option(
            help="transformer, differential, talking_heads, mta, or any attention variant; "
            "default: a line for each of the first four, the paper's",
            show_default=False,
        ),
    ] = "",
    scale: Scale = DEFAULT_SCALE,
    settings: Settings = None,
    components: Components = None,
) -> None:
    """Print how many parameters a model has. It is not built in memory."""
    under = (scale, settings or [], components or [])
    if model:
        print(lab.parameters.parameters(model, *under))
        return
    for name in lab.parameters.PAPER:
        print(f"{name}\t{lab.parameters.parameters(name, *under)}")
