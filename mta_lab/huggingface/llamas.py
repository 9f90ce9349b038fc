"""Open a pretrained Llama, and insert operations into it."""

import json
from collections.abc import Mapping
from contextlib import nullcontext, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from mta_lab.errors import UserError, described
from mta_lab.huggingface.models import LlamaConfig, LlamaForCausalLM, MtaLlamaConfig, MtaLlamaForCausalLM

GGUF = ".gguf"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
"""files of which a folder with a tokenizer has one at least"""
NOT_COPIED = ("model_type", "architectures", "quantization_config")
"""settings that say what a model was read from"""


class Pretrained(NamedTuple):
    """A Llama in float32 with eager attention, the reference, and its tokenizer."""

    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerBase


def open_llama(source: Path) -> Pretrained:
    """Return the Llama of a folder that transformers wrote, or of a GGUF file.

    Raises:
        UserError: there is none, it has no tokenizer, it cannot be read, or its tokenizer has ids
            that it does not know.
    """
    if source.suffix != GGUF:
        _refuse_other(source)
    logging.disable_progress_bar()
    folder, file = (source.parent, {"gguf_file": source.name}) if source.suffix == GGUF else (source, {})
    only = {} if file else {"use_safetensors": True}  # other formats may hold code
    quiet = redirect_stderr(StringIO()) if file else nullcontext()  # a bar that nothing else turns off
    try:
        with quiet:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **file)
            model = LlamaForCausalLM.from_pretrained(
                folder, dtype=torch.float32, attn_implementation="eager", **file, **only
            )
    except Exception as error:  # a damaged file may raise anything
        raise UserError(f"{source}: cannot be opened ({described(error)}); save the model again") from None
    if len(tokenizer) > model.config.vocab_size:
        said = f"has {len(tokenizer):,} entries, and the model an embedding for {model.config.vocab_size:,}"
        raise UserError(f"{source}: the tokenizer {said}; give the model its own tokenizer")
    return Pretrained(model.eval(), tokenizer)


def _refuse_other(folder: Path) -> None:
    """Raise UserError where a folder holds no Llama."""
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        allowed = f"a folder that transformers wrote, or a file that ends in {GGUF}"
        raise UserError(f"{folder}: has no config.json of a model ({described(error)}); allowed: {allowed}") from None
    if kind != "llama":
        raise UserError(f"{folder}: config.json is of a '{kind}', allowed: 'llama'")
    if not any((folder / name).exists() for name in TOKENIZERS):
        saves = f"AutoTokenizer.from_pretrained(MODEL).save_pretrained('{folder}')"
        raise UserError(f"{folder}: has no tokenizer; in Python, `{saves}` adds the Llama's own")


def inserted(llama: LlamaForCausalLM, attention: Mapping[str, Any]) -> LlamaForCausalLM | MtaLlamaForCausalLM:
    """Return a copy of the Llama with operations at their start, or without any.

    `attention` is of `settings.attention_settings`. What was read of a GGUF file cannot be saved,
    its copy can.
    """
    kind, settings = (MtaLlamaForCausalLM, MtaLlamaConfig) if attention else (LlamaForCausalLM, LlamaConfig)
    own = {key: value for key, value in llama.config.to_dict().items() if key not in NOT_COPIED}
    model = kind(settings(**own, **attention, attn_implementation="eager"))
    model.load_state_dict(llama.state_dict(), strict=False)
    model.generation_config = llama.generation_config
    return model.eval()


def refuse_difference(
    llama: LlamaForCausalLM, model: LlamaForCausalLM | MtaLlamaForCausalLM, tokens_BT: Tensor
) -> None:
    """Raise UserError where a logit of the two models differs by a bit."""
    with torch.no_grad():
        before, after = (one(input_ids=tokens_BT, use_cache=False).logits for one in (llama, model))
    if not torch.equal(before, after):
        difference = (before - after).abs().max().item()
        raise UserError(f"attention: the logits differ by {difference:.1e} after the insertion; nothing is written")
