"""The names of a Llama's weights in transformers, beside those in our decoder. Needs no extra."""

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor

WHOLE = MappingProxyType({"embedding": "model.embed_tokens", "norm": "model.norm"})
"""modules beside the layers: ours, theirs"""
LAYER = MappingProxyType(
    {
        "attention.query": "self_attn.q_proj",
        "attention.key": "self_attn.k_proj",
        "attention.value": "self_attn.v_proj",
        "attention.output": "self_attn.o_proj",
        "attention": "self_attn",  # operations and norm, which have the same names in both
        "attention_norm": "input_layernorm",
        "feed_forward.gate": "mlp.gate_proj",
        "feed_forward.up": "mlp.up_proj",
        "feed_forward.down": "mlp.down_proj",
        "feed_forward_norm": "post_attention_layernorm",
    }
)
"""modules of a layer: ours, theirs; one inside another stands before it"""
BLOCKS, LAYERS = "blocks.", "model.layers."
TIED = "lm_head.weight"
"""weight of transformers that our decoder lacks, as it is the embedding"""

COMPUTED = "rotary_emb.inv_freq"
"""end of the names of weights that earlier versions saved and nothing reads"""


def to_llama(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a decoder's weights under the names of transformers."""
    return {_renamed(name, BLOCKS, LAYERS, WHOLE, LAYER): tensor for name, tensor in weights.items()}


def from_llama(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of transformers under the names of our decoder; others keep theirs."""
    whole, layer = ({theirs: ours for ours, theirs in names.items()} for names in (WHOLE, LAYER))
    return {_renamed(name, LAYERS, BLOCKS, whole, layer): tensor for name, tensor in weights.items()}


def _renamed(name: str, before: str, after: str, whole: Mapping[str, str], layer: Mapping[str, str]) -> str:
    if not name.startswith(before):
        return _replaced(name, whole)
    number, _, inner = name.removeprefix(before).partition(".")
    return f"{after}{number}.{_replaced(inner, layer)}"


def _replaced(name: str, modules: Mapping[str, str]) -> str:
    """Return a name with the module that it begins with replaced; unchanged if it has none."""
    for module, other in modules.items():
        if name.startswith(f"{module}."):
            return f"{other}{name.removeprefix(module)}"
    return name
