"""Settings of small Llamas, and of runs of the same sizes."""

from typing import Any

import torch
from torch import Tensor

from mta_lab.config import Layer, RunConfig, resolve, scale_layer

VOCABULARY, CONTEXT = 260, 128
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": None,
    "attn_implementation": "eager",
}
CONVOLUTION = {"name": "key_query", "kernel": [6, 11], "layers": [3]}
MIXING = {"name": "head_mixing", "group": 4}
OPERATIONS = {"pre_softmax": [CONVOLUTION, MIXING], "post_softmax": [CONVOLUTION, MIXING]}
"""those of the paper's main model"""
EXACT = {
    "pre_softmax": [{**CONVOLUTION, "mask": "exact", "padding": "left"}, {**CONVOLUTION, "padding": "right"}],
    "post_softmax": [{"name": "joint", "kernel": [3, 4], "group": 2, "layers": [2, 3]}],
}
VARIANTS: dict[str, dict[str, Any]] = {
    "operations": OPERATIONS,
    "exact and joint": EXACT,
    "gate": {**OPERATIONS, "norm": {"name": "gate", "per": "scalar"}},
    "gate by channel": {"pre_softmax": [MIXING], "norm": {"name": "gate", "per": "channel"}},
    "plain": {"norm": {"name": "plain"}},
    "depth": {"norm": {"name": "depth"}},
    "layer_norm": {"norm": {"name": "layer_norm"}},
    "layer_norm_block": {"norm": {"name": "layer_norm_block"}},
}
"""attentions as a config of transformers has them, which are also settings of ours"""


def config_of(attention: Any, kv_heads: int = 2) -> RunConfig:
    """Return a run of these sizes."""
    model = {"width": 64, "layers": 4, "heads": 8, "kv_heads": kv_heads, "vocabulary": VOCABULARY, "context": CONTEXT}
    model |= {"feed_forward_multiple": 64}
    return resolve([scale_layer("nano"), Layer("test", {"model": model, "attention": attention})])


def lists(attention: dict[str, Any]) -> dict[str, Any]:
    """Return a variant as settings of a run, where nothing is left to a default."""
    return {"name": "multi_token", "pre_softmax": [], "post_softmax": [], "norm": "none", **attention}


def tokens(batch: int = 2, length: int = 40) -> Tensor:
    """Return sequences of tokens, the same each time."""
    return torch.randint(VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(2))
