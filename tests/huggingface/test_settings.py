"""A run's settings and weights as transformers names them, without transformers."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from components import FAMILIES, register
from components.attention import PLAIN, AttentionConfig
from components.score_ops import ScoreOp, ScoreOpConfig
from mta_lab.config import RunConfig
from mta_lab.errors import UserError
from mta_lab.huggingface import settings
from mta_lab.huggingface.names import from_llama, to_llama
from mta_lab.huggingface.settings import llama_settings
from mta_lab.model import Decoder
from tests.config.helpers import registry_restored
from tests.huggingface.examples import SIZES, VARIANTS, config_of, lists


def test_a_transformer_has_the_settings_of_a_llama_alone():
    found = llama_settings(config_of("softmax"))
    assert found.items() >= {key: SIZES[key] for key in ("vocab_size", "hidden_size", "intermediate_size")}.items()
    assert (found["num_attention_heads"], found["num_key_value_heads"]) == (8, 2)
    assert found["rope_parameters"] == {"rope_theta": 100_000.0, "rope_type": "default"}
    assert not {"pre_softmax", "post_softmax", "norm"} & found.keys()


def test_operations_on_no_layer_and_no_norm_are_a_llama_too():
    nowhere = {"name": "key_query", "layers": "none"}
    assert "pre_softmax" not in llama_settings(config_of(lists({"pre_softmax": [nowhere]})))


def test_the_papers_model_has_its_operations_with_their_layers_and_its_norm():
    found = llama_settings(config_of("multi_token"))
    convolution = {"name": "key_query", "kernel": [6, 11], "mask": "double", "padding": "both", "layers": [3]}
    mixing = {"name": "head_mixing", "group": "all", "layers": "all"}
    assert found["pre_softmax"] == found["post_softmax"] == [convolution, mixing]
    assert found["norm"] == {"name": "gate", "per": "scalar"}


def test_talking_heads_are_a_mixing_before_and_after_the_softmax():
    found = llama_settings(config_of({"name": "talking_heads", "dropout": 0.1}))
    assert found["pre_softmax"] == found["post_softmax"] == [{"name": "head_mixing", "group": "all", "layers": "all"}]
    assert (found["norm"], found["attention_dropout"]) == (None, 0.1)


def test_every_operation_and_norm_that_ships_is_known():
    norms = {*FAMILIES["norms"].names()} - {"none"}
    assert (set(settings.OPERATIONS), set(settings.NORMS)) == ({*FAMILIES["score_ops"].names()}, norms)


def test_a_users_own_attention_is_refused_by_its_name():
    with registry_restored():

        @register("attention", "uniform")
        class Uniform(AttentionConfig):
            """Plain attention under another name."""

            def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
                return PLAIN.build(width=width, heads=heads, layer=layer, layers=layers)

        with pytest.raises(UserError, match="attention: 'uniform' is no list of operations before and after"):
            llama_settings(config_of("uniform"))


def test_a_hybrid_is_refused_by_its_name():
    hybrid = [{"layers": "every 4", "name": "multi_token"}, {"layers": "rest", "name": "softmax"}]
    with pytest.raises(UserError, match="attention: 'by_layer' is no list of operations before and after"):
        llama_settings(config_of(hybrid))


def test_heads_of_another_width_are_refused():
    config = config_of("softmax")
    with pytest.raises(UserError, match=r"model.head_width: 16 is not in the model of an export, .* \(8\)"):
        llama_settings(replace(config, model=replace(config.model, head_width=16)))
    same = replace(config, model=replace(config.model, head_width=8))
    assert llama_settings(same) == llama_settings(config)


def test_a_users_own_operation_is_refused_by_its_name():
    with registry_restored():

        @register("score_ops", "halved")
        class Halved(ScoreOpConfig):
            """Half of each place."""

            def build(self, *, heads: int) -> ScoreOp:
                return Half()

        class Half(ScoreOp):
            def forward(self, scores_BMQK: torch.Tensor, visible_QK: torch.Tensor) -> torch.Tensor:
                return scores_BMQK / 2

        own = config_of(lists({"post_softmax": [{"name": "halved"}]}))
        with pytest.raises(
            UserError, match=r"attention.post_softmax: 'halved' is not in the model of an export, which"
        ):
            llama_settings(own)


@pytest.mark.parametrize("name", VARIANTS)
def test_weights_have_other_names_and_get_their_own_back(name):
    weights = decoder(config_of(lists(VARIANTS[name]))).state_dict()
    there = to_llama(weights)
    assert len(there) == len(weights)
    assert not [name for name in there if not name.startswith("model.") or "blocks" in name or ".attention" in name]
    assert from_llama(there).keys() == weights.keys()


def test_a_layers_weights_are_where_llama_has_them():
    there = to_llama(decoder(config_of("multi_token")).state_dict())
    assert {f"model.layers.2.{name}" for name in (
        "self_attn.q_proj.weight",
        "self_attn.pre_softmax.0.kernel",
        "self_attn.norm.gate.bias",
        "mlp.down_proj.weight",
        "input_layernorm.weight",
    )} | {"model.embed_tokens.weight", "model.norm.weight"} <= there.keys()  # fmt: skip


def decoder(config: RunConfig) -> nn.Module:
    """Return the run's model without values."""
    with torch.device("meta"):
        return Decoder(config.model, config.attention)
