"""`mta-lab params`: how many parameters a model has."""

from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Settings


def params(
    model: Annotated[str, typer.Option(help="transformer, differential, talking_heads, mta, or any attention variant")],
    scale: Scale = DEFAULT_SCALE,
    settings: Settings = None,
    components: Components = None,
) -> None:
    """Print how many parameters a model has. It is not built in memory."""
    print(lab.parameters.parameters(model, scale, settings or [], components or []))
