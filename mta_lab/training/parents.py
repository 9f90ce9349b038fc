"""Give the model of a run the weights of what it starts from."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from components.attention.insertion import grown, kept_operations
from mta_lab.config import RunConfig, attention_before
from mta_lab.errors import UserError, described
from mta_lab.model import Decoder
from mta_lab.training import tensors


def take_weights(start: Path, model: Decoder, config: RunConfig) -> None:
    """Give the model the weights of what it starts from; new operations keep what they have.

    Raises:
        UserError: the file cannot be read, or is of another model.
    """
    try:
        model.load_state_dict(_state(tensors.read(start), model.state_dict(), config))
    except Exception as error:  # a damaged file may raise anything
        again = "delete the record of that run in results/runs, and it is trained again"
        if config.init.checkpoint:
            again = f"delete the file, and it is made again of {config.init.checkpoint}"
        raise UserError(f"{start}: the run cannot start from these weights ({described(error)}); {again}") from None


def _state(before: Mapping[str, Tensor], start: Mapping[str, Tensor], config: RunConfig) -> dict[str, Tensor]:
    """Return the state of the model: its parent's, and what new operations start with."""
    attention, layers, state = attention_before(config) or config.attention, config.model.layers, dict(before)
    for layer in range(1, layers + 1):
        prefix = f"blocks.{layer - 1}.attention."
        kept = kept_operations(attention, config.attention, layer, layers)
        old = {name: state.pop(f"{prefix}{name}") for name in _below(prefix, before)}
        new = {name: start[f"{prefix}{name}"] for name in _below(prefix, start)}
        state |= {f"{prefix}{name}": value for name, value in grown(old, new, kept).items()}
    return state


def _below(prefix: str, state: Mapping[str, Tensor]) -> list[str]:
    return [name.removeprefix(prefix) for name in state if name.startswith(prefix)]
