"""Count the parameters of a model, which is named by its attention."""

from collections.abc import Sequence
from pathlib import Path

from components import FAMILIES
from mta_lab.config import Layer, command_line, resolve, scale_layer
from mta_lab.errors import UserError, nearest
from mta_lab.model import count_parameters
from mta_lab.plugins import load_components

MODELS = {"transformer": "softmax", "mta": "multi_token"}
"""name of a model in the paper's Table 2 -> its attention here, where they differ"""
PAPER = ("transformer", "differential", "talking_heads", "mta")
"""the models of the paper's Table 8"""


def parameters(model: str, scale: str, settings: Sequence[str], components: Sequence[Path]) -> int:
    """Return the number of parameters of a model at a scale, under KEY=VALUE settings.

    The model is not built in memory.

    Raises:
        UserError: there is no model of that name, or a setting is wrong.
    """
    load_components(components)
    known = [*MODELS, *FAMILIES["attention"].names()]
    if model not in known:
        raise UserError(f"--model: no model named '{model}'{nearest(model, known) or ';'} known: {', '.join(known)}")
    named = Layer("--model", {"attention": MODELS.get(model, model)})
    return count_parameters(resolve([scale_layer(scale), named, command_line(settings)]))
