"""A run's settings as transformers writes those of a Llama. Needs no extra."""

from collections.abc import Mapping
from typing import Any

from components.attention import AttentionConfig
from components.feed_forward import SWIGLU
from components.norms.rms import NORM_EPS
from components.positions.llama import rope_parameters
from components.residual_norms import PRE
from mta_lab.config import ModelConfig, RunConfig, plain
from mta_lab.errors import UserError

PLACES = ("pre_softmax", "post_softmax")
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "key_query": ("kernel", "mask", "padding"),
    "head_mixing": ("group",),
    "joint": ("kernel", "group"),
}
"""operations that the exported model has, with those of their settings that say more than where it
starts and on which layers it stands"""
NORMS: Mapping[str, tuple[str, ...]] = {
    "gate": ("per",),
    "plain": (),
    "depth": (),
    "layer_norm": (),
    "layer_norm_block": (),
}
"""the same of norms"""
LISTS = "multi_token"
"""the attention that is lists of operations and a norm"""
PAIRS = {
    "differential": {
        "pre_softmax": [],
        "post_softmax": [{"name": "pair_difference", "layers": "all"}],
        "norm": {"name": "pair"},
    }
}
"""attention by name that is operations and a norm of the exported model's own"""


def llama_settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings of a `LlamaConfig`; with `pre_softmax`, those of an `MtaLlamaConfig`.

    Raises:
        UserError: a component of the model is one that neither of them has.
    """
    model = config.model
    _refuse_scales(model)
    if model.attention_width != model.width:
        said = f"{model.head_width} is not in the model of an export, whose heads have width / heads channels"
        raise UserError(f"model.head_width: {said} ({model.width // model.heads})")
    if model.qk_norm:
        raise UserError("model.qk_norm: true is not in the model of an export, whose queries and keys have no norm")
    if model.residual_norms != PRE:
        given = ", ".join(f"{key}: {value}" for key, value in plain(model.residual_norms).items())
        said = "is not in the model of an export, whose blocks have RMSNorms before their sublayers"
        raise UserError(f"model.residual_norms: {{{given}}} {said}")
    return {
        "vocab_size": model.vocabulary,
        "hidden_size": model.width,
        "intermediate_size": _hidden_width(config),
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads or model.heads,
        "max_position_embeddings": model.context,
        "rms_norm_eps": NORM_EPS,
        "rope_parameters": _rope(config),
        "tie_word_embeddings": True,
        "attention_dropout": config.attention.dropout,
        **attention_settings(config.attention, model.layers),
    }


def _refuse_scales(model: ModelConfig) -> None:
    """Raise UserError for an initialiser that multiplies queries or logits of the trained model."""
    one = model.initialiser
    factors = one.query_scale(width=model.width, heads=model.heads), one.output_scale(width=model.width)
    if factors != (1.0, 1.0):
        said = f"'{one.name}' multiplies queries by {factors[0]:.3g} and logits by {factors[1]:.3g}"
        raise UserError(f"model.initialiser: {said}, as the model of an export does not")


def _rope(config: RunConfig) -> dict[str, Any]:
    """Return the angles of positions; raise UserError for positions that a Llama does not have."""
    model = config.model
    found = rope_parameters(model.positions, context=model.context, head_width=model.channels)
    if found is None:
        said = f"'{model.positions.name}' is not in the model of an export, whose positions are rotary"
        raise UserError(f"model.positions: {said}")
    return found


def _hidden_width(config: RunConfig) -> int:
    """Return that of the SwiGLU; raise UserError for a feed-forward that a Llama does not have."""
    model = config.model
    if model.feed_forward.name != SWIGLU.name:
        said = f"'{model.feed_forward.name}' is not in the model of an export, whose feed-forward is '{SWIGLU.name}'"
        raise UserError(f"model.feed_forward: {said}")
    width: int = model.built_feed_forward(layer=1).get_parameter("down.weight").shape[1]
    return width


def attention_settings(attention: AttentionConfig, layers: int) -> dict[str, Any]:
    """Return operations and norm, or nothing where the attention is a Llama's on every layer.

    Raises:
        UserError: it has a component that the exported model lacks.
    """
    if attention.name in PAIRS:
        return PAIRS[attention.name]
    form = attention.in_operations()
    if form.name != LISTS:
        said = "is no list of operations before and after the softmax, as the model of an export has"
        raise UserError(f"attention: '{attention.name}' {said}")
    tree = plain(form, later=True)
    found = {
        place: [
            _operation(place, settings, operation, layers)
            for settings, operation in zip(tree[place], getattr(form, place), strict=True)
        ]
        for place in PLACES
    }
    found = {place: [operation for operation in listed if operation["layers"]] for place, listed in found.items()}
    norm = _kept("norm", tree["norm"], NORMS) if tree["norm"]["name"] != "none" else None
    return {**found, "norm": norm} if norm or any(found.values()) else {}


def _operation(place: str, settings: Mapping[str, Any], operation: Any, layers: int) -> dict[str, Any]:
    """Return an operation with its layers: all, or a list that counts from 1."""
    standing = [layer for layer in range(1, layers + 1) if operation.on_layer(layer, layers)]
    return {**_kept(place, settings, OPERATIONS), "layers": "all" if len(standing) == layers else standing}


def _kept(place: str, settings: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return a component's name and those of its settings that an export needs.

    Raises UserError for one that the exported model lacks, a user's own among them.
    """
    name = settings["name"]
    if name not in known:
        raise UserError(f"attention.{place}: '{name}' is not in the model of an export, which has {', '.join(known)}")
    return {"name": name, **{key: settings[key] for key in known[name]}}
