"""Read the weights of a Llama's folder as those of our decoder."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from components.attention import PLAIN
from mta_lab.config import RunConfig
from mta_lab.config.checkpoint import weight_files
from mta_lab.errors import UserError, described
from mta_lab.huggingface.names import COMPUTED, TIED, from_llama
from mta_lab.model import Decoder
from mta_lab.training import tensors


def import_weights(folder: Path, file: Path, config: RunConfig) -> None:
    """Write the weights of a folder, in float32, to the `file` from which a run of `config` starts.

    Raises:
        UserError: they cannot be read or written, or are of another model than config.json says.
    """
    found: dict[str, Tensor] = {}
    for part in weight_files(folder):
        try:
            read = load_file(part)
        except (OSError, SafetensorError) as error:
            said = f"{part} cannot be read ({described(error)}); save the model again"
            raise UserError(f"init.checkpoint: {said}") from None
        if twice := found.keys() & read.keys():
            raise UserError(f"init.checkpoint: {part}: {min(twice)} is in another file, too; allowed: each weight once")
        found |= read
    found = {name: tensor for name, tensor in found.items() if not name.endswith(COMPUTED)}
    head = found.pop(TIED, None)
    if head is not None and not torch.equal(head, found.get("model.embed_tokens.weight", head)):
        raise UserError(f"init.checkpoint: {folder}: {TIED} is not the embedding, allowed: tied embeddings")
    weights = {name: tensor.float() for name, tensor in from_llama(found).items()}
    _refuse_other_shapes(weights, config, folder)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        tensors.write(file, weights)
    except OSError as error:
        raise UserError(f"init.checkpoint: cannot write {file} ({described(error)})") from None


def _refuse_other_shapes(weights: Mapping[str, Tensor], config: RunConfig, folder: Path) -> None:
    """Raise UserError where the weights are not those of a decoder of that size."""
    with torch.device("meta"):
        wanted = {name: tensor.shape for name, tensor in Decoder(config.model, PLAIN).state_dict().items()}
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    for name in sorted(wanted.keys() | shapes.keys()):
        if wanted.get(name) != shapes.get(name):
            given, allowed = (list(of[name]) if name in of else "nothing" for of in (shapes, wanted))
            raise UserError(f"init.checkpoint: {folder}: {name}: got {given}, allowed: {allowed}, by its config.json")
