"""Open a pretrained Llama, and insert operations into it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from mta_lab.errors import UserError, described
from mta_lab.huggingface.models import LlamaConfig, LlamaForCausalLM, MtaLlamaConfig, MtaLlamaForCausalLM
from mta_lab.huggingface.names import COMPUTED

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
    logging.set_verbosity_error()  # what it warns of is refused in one line
    folder, file = (source.parent, {"gguf_file": source.name}) if source.suffix == GGUF else (source, {})
    only = {} if file else {"use_safetensors": True}  # other formats may hold code
    quiet = redirect_stderr(StringIO()) if file else nullcontext()  # a bar that nothing else turns off
    with _one_line(f"{source}: cannot be opened", "save the model again"), quiet:
        model, about = LlamaForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are among what it has found
            **file,
            **only,
        )
    _refuse_other_weights(source, model, about)
    with _one_line(f"{source}: the tokenizer cannot be opened", "save the model's tokenizer there"), quiet:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **file)
    if len(tokenizer) > model.config.vocab_size:
        said = f"has {len(tokenizer):,} entries, and the model an embedding for {model.config.vocab_size:,}"
        raise UserError(f"{source}: the tokenizer {said}; give the model its own tokenizer")
    return Pretrained(model.eval(), tokenizer)


@contextmanager
def _one_line(said: str, way: str) -> Iterator[None]:
    """Raise UserError for whatever the block raises, as a damaged file may raise anything."""
    try:
        yield
    except Exception as error:
        raise UserError(f"{said} ({described(error)}); {way}") from None


def _refuse_other(folder: Path) -> None:
    """Raise UserError where a folder holds no Llama."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        allowed = f"a folder that transformers wrote, or a file that ends in {GGUF}"
        raise UserError(f"{folder}: has no config.json of a model ({described(error)}); allowed: {allowed}") from None
    if kind != "llama":
        raise UserError(f"{folder}: config.json is of a '{kind}', allowed: 'llama'")
    if not any((folder / name).exists() for name in TOKENIZERS):
        saves = f"AutoTokenizer.from_pretrained(MODEL).save_pretrained('{folder}')"
        raise UserError(f"{folder}: has no tokenizer; in Python, `{saves}` adds the Llama's own")
    if (window := config.get("sliding_window")) is not None:
        said = f"got {window!r}, allowed: none, as a Llama has no such window"
        raise UserError(f"{folder}: config.json: sliding_window: {said}; remove it if the model was trained without")


def _refuse_other_weights(source: Path, model: LlamaForCausalLM, about: Mapping[str, Any]) -> None:
    """Raise UserError for weights that are not those of config.json's Llama, or not finite.

    transformers would draw the missing ones, and leave out those that have no place.
    """
    for name, given, allowed in sorted(about["mismatched_keys"]):
        raise UserError(f"{source}: {name}: got {list(given)}, allowed: {list(allowed)}, by its config.json")
    missing, others = about["missing_keys"], about["unexpected_keys"]
    if strays := {*missing, *(name for name in others if not name.endswith(COMPUTED))}:
        name = min(strays)
        said = "is missing" if name in missing else "has no place in the Llama of its config.json"
        raise UserError(f"{source}: {name} {said}; allowed: all weights of that Llama, and no others")
    if model.config.tie_word_embeddings and model.lm_head.weight is not model.model.embed_tokens.weight:
        said = "its config.json ties the embeddings (tie_word_embeddings)"
        raise UserError(f"{source}: lm_head.weight is not the embedding, but {said}; correct the one that is wrong")
    if broken := [name for name, tensor in model.state_dict().items() if not tensor.isfinite().all()]:
        raise UserError(f"{source}: {broken[0]} has values that are not finite; save the model again")


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
