"""Make a run's model one of transformers, and write the folder that transformers opens."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.utils import logging

from mta_lab.atomic import whole_folder
from mta_lab.config.checkpoint import CONFIG
from mta_lab.errors import UserError
from mta_lab.huggingface.models import (
    LlamaConfig,
    LlamaForCausalLM,
    MtaLlamaConfig,
    MtaLlamaForCausalLM,
    PreTrainedModel,
)
from mta_lab.huggingface.names import TIED, to_llama
from mta_lab.model import Decoder

NEAR = 1e-3
"""difference of two logits over the largest one that rounding makes at most"""


class Agreement(NamedTuple):
    """The logits of an exported model beside those of the run's own."""

    difference: float
    """the largest between two logits"""
    largest: float
    """the largest logit, without its sign"""


def llama_of(decoder: Decoder, settings: Mapping[str, Any]) -> PreTrainedModel:
    """Return the decoder's model in transformers, with the settings of `settings.llama_settings`.

    Raises:
        UserError: the decoder has other parameters, as a component of a user's own may.
    """
    operates = "pre_softmax" in settings
    kind, config = (MtaLlamaForCausalLM, MtaLlamaConfig) if operates else (LlamaForCausalLM, LlamaConfig)
    model = kind(config(**settings))
    missing, unexpected = model.load_state_dict(to_llama(decoder.state_dict()), strict=False)
    if strays := {*missing, *unexpected} - {TIED}:
        raise UserError(f"attention: '{min(strays)}' is in one of the two models alone, the run's and that to export")
    return model.eval()


def agreement(model: PreTrainedModel, decoder: Decoder, tokens_BT: Tensor) -> Agreement:
    """Compare the logits of both models.

    Raises:
        UserError: they differ by more than rounding, as components of a user's own may.
    """
    with torch.no_grad():
        theirs_BTV, ours_BTV = model(input_ids=tokens_BT, use_cache=False).logits, decoder(tokens_BT)
    found = Agreement((theirs_BTV - ours_BTV).abs().max().item(), ours_BTV.abs().max().item())
    if not found.difference <= NEAR * found.largest:
        said = f"differ by {found.difference:.2g} at values up to {found.largest:.2g}"
        raise UserError(f"attention: the logits of the run's model and of the one to export {said}; nothing is written")
    return found


def tokenizer_of(tokenizer: Tokenizer, end_of_text: int, context: int) -> PreTrainedTokenizerFast:
    """Return a text's tokenizer for transformers, which pads with the end of text on the left."""
    end = tokenizer.id_to_token(end_of_text)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=end, padding_side="left", model_max_length=context
    )


def write(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, card: str) -> None:
    """Write a model, its tokenizer and its card into a new folder, all of it or nothing.

    Raises:
        UserError: the folder holds something, or it cannot be written.
    """
    logging.disable_progress_bar()
    with whole_folder(folder) as scratch:
        try:
            model.save_pretrained(scratch)
        except SafetensorError as error:  # of its own kind where the disk is full
            raise OSError(str(error)) from None
        _add_older_keys(scratch / CONFIG)
        if tokenizer is not None:
            tokenizer.save_pretrained(scratch)
        (scratch / "README.md").write_text(card, encoding="utf-8")


def _add_older_keys(config: Path) -> None:
    """Add the keys in which transformers 4 looks for the angles of positions.

    It knows no `rope_parameters`, and would compute with its default angles without a word.
    """
    settings = json.loads(config.read_text(encoding="utf-8"))
    scaling = dict(settings["rope_parameters"])
    older = {"rope_theta": scaling.pop("rope_theta")}
    if scaling["rope_type"] != "default":
        older["rope_scaling"] = scaling
    config.write_text(f"{json.dumps({**settings, **older}, indent=2, sort_keys=True)}\n", encoding="utf-8")
