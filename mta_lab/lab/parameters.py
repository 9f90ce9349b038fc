"""Count the parameters of a model that is named by its attention."""

from collections.abc import Sequence
from pathlib import Path

from components import FAMILIES
from mta_lab.config import Layer, command_line, resolve, scale_layer
from mta_lab.errors import UserError, nearest
from mta_lab.model import count_parameters
from mta_lab.plugins import load_components

MODELS = {"transformer": "softmax", "mta": "multi_token"}
"""names of Table 2's models that differ from their attention's"""


def parameters(model: str, scale: str, settings: Sequence[str], components: Sequence[Path]) -> int:
    """Return how many parameters the model has at a scale, under KEY=VALUE settings.

    The model is not built in memory.

    Raises UserError where no model has that name.
    """
    load_components(components)
    known = [*MODELS, *FAMILIES["attention"].names()]
    if model not in known:
        raise UserError(f"--model: no model named '{model}'{nearest(model, known) or ';'} known: {', '.join(known)}")
    named = Layer("--model", {"attention": MODELS.get(model, model)})
    return count_parameters(resolve([scale_layer(scale), named, command_line(settings)]))
