"""`mta-lab params`: how many parameters a model has."""

from typing import Annotated

import typer

from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Settings
from mta_lab.errors import UserError, nearest

MODELS = {"transformer": "softmax", "mta": "multi_token"}
"""names of Table 2's models that differ from their attention's"""


def params(
    model: Annotated[str, typer.Option(help="transformer, differential, talking_heads, mta, or any attention variant")],
    scale: Scale = DEFAULT_SCALE,
    settings: Settings = None,
    components: Components = None,
) -> None:
    """Print how many parameters a model has. It is not built in memory."""
    from components import FAMILIES  # imports torch, as do the others
    from mta_lab.config import Layer, command_line, resolve, scale_layer
    from mta_lab.model import count_parameters
    from mta_lab.plugins import load_components

    load_components(components or [])
    known = [*MODELS, *FAMILIES["attention"].names()]
    if model not in known:
        raise UserError(f"--model: no model named '{model}'{nearest(model, known) or ';'} known: {', '.join(known)}")
    named = Layer("--model", {"attention": MODELS.get(model, model)})
    print(count_parameters(resolve([scale_layer(scale), named, command_line(settings or [])])))
