"""The merging of layers: rank, dotted and nested keys, components by name, the canonical form."""

import dataclasses
from dataclasses import replace
from typing import Any

import pytest

from components import FAMILIES
from components.attention import ByLayer, Differential, MultiToken, Softmax
from components.kernel_init import Identity
from components.norms import Depth, Gate, Plain
from components.score_ops import HeadMixing, KeyQuery
from mta_lab.config import Layer, RunConfig, command_line, flatten, plain, resolve, scales
from mta_lab.errors import UserError
from mta_lab.model import tokens_per_parameter
from tests.config.helpers import SIZES, config, layered

ATTENTIONS = FAMILIES["attention"].names()


def test_each_layer_ranks_above_the_one_before() -> None:
    key = "weight_decay"
    layers = [
        SIZES,
        Layer("base", {f"training.{key}": 0.1, "training.steps": 400}),
        Layer("row", {f"training.{key}": 0.2, "training.steps": 500}),
        command_line([f"training.{key}=0.3"]),
    ]
    decays = [getattr(resolve(layers[: count + 1]).training, key) for count in range(len(layers))]
    assert decays == [0.05, 0.1, 0.2, 0.3]
    assert [resolve(layers[: count + 1]).training.steps for count in range(len(layers))] == [250, 400, 500, 500]


@pytest.mark.parametrize(
    "values",
    [
        {"model": {"heads": 8}, "attention": {"name": "multi_token", "norm": {"name": "plain"}}},
        {"model.heads": 8, "attention.name": "multi_token", "attention.norm.name": "plain"},
        {"model": {"heads": 8}, "attention": "multi_token", "attention.norm": "plain"},
        {"model.heads": 8, "attention": {"name": "multi_token"}, "attention.norm": {"name": "plain"}},
    ],
    ids=["nested", "dotted", "shorthand", "mixed"],
)
def test_spellings_of_one_configuration_are_equal(values: dict[str, Any]) -> None:
    found = layered(values)
    assert found.model.heads == 8
    assert found.attention == MultiToken(norm=Plain())
    assert found == resolve([SIZES, Layer("row", values), command_line([])])


HYBRID = ByLayer(layers=((1, 4), "rest"), variants=(MultiToken(norm=Plain()), Softmax()), dropout=0.1)
LISTED = [{"layers": [1, 4], "name": "multi_token", "norm": "plain"}, {"layers": "rest", "name": "softmax"}]


@pytest.mark.parametrize(
    "layers",
    [
        [{"attention": LISTED, "attention.dropout": 0.1}],
        [{"attention.dropout": 0.1, "attention": LISTED}],
        [{"attention": "multi_token"}, {"attention": LISTED}, {"attention.dropout": 0.1}],
        [{"attention": [{**LISTED[0], "norm": {"name": "plain"}}, LISTED[1]]}, {"attention": {"dropout": 0.1}}],
        [plain(config("attention=[{layers: [1, 4], name: multi_token, norm: plain}, {layers: rest, name: softmax}]")),
         {"attention.dropout": 0.1}],
    ],
    ids=["with its dropout", "after its dropout", "in place of another", "nested", "canonical"],
)  # fmt: skip
def test_a_list_of_attentions_is_short_for_attention_by_layer(layers: list[dict[str, Any]]) -> None:
    assert layered(*layers).attention == HYBRID


def test_a_layer_leaves_neighbouring_keys_alone() -> None:
    found = layered({"model": {"heads": 8}}, {"model.context": 64}, {"model": {"rope_theta": 500.0}})
    assert (found.model.heads, found.model.context, found.model.rope_theta) == (8, 64, 500.0)
    assert found.model.width == config().model.width


def test_same_component_keeps_settings_from_layers_below() -> None:
    below = {"attention": {"name": "multi_token", "dropout": 0.1, "norm": "depth"}}
    assert layered(below, {"attention.norm": "plain"}).attention == MultiToken(dropout=0.1, norm=Plain())
    assert layered(below, {"attention": {"name": "multi_token", "norm": "gate"}}).attention == MultiToken(
        dropout=0.1, norm=Gate()
    )
    assert layered(below, {"attention": "multi_token"}).attention == MultiToken(dropout=0.1, norm=Depth())


@pytest.mark.parametrize("other", ["differential", {"name": "differential"}], ids=["string", "mapping"])
def test_another_component_drops_settings_of_the_one_before(other: Any) -> None:
    below = {"attention": {"name": "multi_token", "dropout": 0.1, "norm": "depth"}}
    assert layered(below, {"attention": other}).attention == Differential(dropout=0.0)
    assert layered(below, {"attention.name": "differential"}).attention == Differential(dropout=0.0)


def test_setting_without_a_name_belongs_to_the_default_component() -> None:
    assert layered({"attention.dropout": 0.2}).attention == Softmax(dropout=0.2)


def test_order_of_a_list_is_kept_and_a_list_replaces_the_one_below() -> None:
    both = ["head_mixing", {"name": "key_query", "kernel": [2, 3], "init": "identity", "layers": "all"}]
    found = layered({"attention": {"name": "multi_token", "pre_softmax": both}})
    convolution = KeyQuery(kernel=(2, 3), init=Identity(), layers="all")
    assert isinstance(found.attention, MultiToken)
    assert found.attention.pre_softmax == (HeadMixing(), convolution)
    emptied = layered({"attention": {"name": "multi_token", "pre_softmax": both}}, {"attention.pre_softmax": []})
    assert emptied.attention == MultiToken(pre_softmax=())


def test_command_line_values_are_yaml() -> None:
    found = config("training.learning_rate=1e-2", "data.path=null", "seed=3", "training.precision=bf16")
    assert (found.training.learning_rate, found.data.path, found.seed) == (0.01, None, 3)
    found = config("attention={name: multi_token, pre_softmax: [{name: key_query, layers: [1, 3]}]}")
    assert found.attention == MultiToken(pre_softmax=(KeyQuery(layers=(1, 3)),))


@pytest.mark.parametrize(
    "twice",
    [
        ("model.heads=8", "model.heads=2"),
        ("model={heads: 8}", "model.heads=2"),
        ("attention.name=softmax", "attention=softmax"),
        ("attention.norm=gate", "attention={name: multi_token, norm: gate}"),
        ("data.mixture={}", "data.mixture.code=1"),
        ("data.mixture.code=1", "data.mixture={}"),
    ],
)
def test_a_setting_given_twice_is_refused(twice: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"^command line: [a-z.]+: is set twice; keep one$"):
        config(*twice)


@pytest.mark.parametrize(
    ("key", "below"),
    [
        ("data.mixture", {"code": 1.0}),
        ("data", {"corpus": "stdlib"}),
        ("attention", "multi_token"),
        ("attention.norm", {"name": "gate"}),
        ("model", {"heads": 2}),
    ],
)
def test_an_empty_mapping_does_not_pass_over_what_is_set_below_it(key: str, below: Any) -> None:
    base = {"attention": "multi_token", key: below}
    with pytest.raises(UserError, match=rf"^layer 1: {key}: got {{}}, which takes nothing away from what layer 0 sets"):
        layered(base, {key: {}})


def test_an_empty_mapping_over_nothing_is_the_empty_default() -> None:
    assert config("data.mixture={}").data.mixture == {}


def test_an_empty_mapping_is_no_share_of_a_domain() -> None:
    with pytest.raises(UserError, match=r"^command line: data.mixture: got .*allowed: "):
        config("data.mixture={code: {}}")


@pytest.mark.parametrize("key", ["evaluations", "attention.pre_softmax", "attention.post_softmax"])
def test_an_empty_list_takes_the_place_of_the_one_below(key: str) -> None:
    full = {"evaluations": ["token_accuracy"], "attention": "multi_token"}
    assert flatten(layered(full))[key]
    assert not flatten(layered(full, {key: []})).get(key)


def test_frozen_at_every_depth() -> None:
    found = config("attention=multi_token")
    for part in (found, found.model, found.training, found.data, found.attention):
        field = dataclasses.fields(part)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, field, None)
    assert isinstance(hash(found), int)


@pytest.mark.parametrize("scale", scales())
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_canonical_form_resolves_to_the_same_configuration(attention: str, scale: str) -> None:
    found = config(f"attention={attention}", "seed=7", scale=scale)
    assert resolve([Layer("canonical", plain(found))]) == found
    assert found.scale == scale
    assert found.attention.name == attention


def test_flattened_form_names_every_leaf_once() -> None:
    flat = flatten(config("attention=multi_token"))
    assert flat["attention.pre_softmax.0.kernel"] == [6, 11]
    assert flat["attention.norm.name"] == "gate"
    assert not any(isinstance(value, dict) for value in flat.values())


def test_a_size_without_a_default_must_be_set() -> None:
    with pytest.raises(UserError, match="model: is not set"):
        resolve([Layer("file", {"scale": "mine"})])


def test_scales_are_smallest_first_and_name_themselves() -> None:
    assert scales() == ("nano", "micro", "small", "paper-300m", "paper-550m", "paper-880m", "paper-1b")


def test_the_papers_scales_have_the_sizes_of_its_table_7() -> None:
    """Width, layers, heads, and tokens a step."""
    sizes = {
        "paper-300m": (1024, 20, 16, 262_144),
        "paper-550m": (1280, 24, 10, 262_144),
        "paper-880m": (1536, 24, 16, 262_144),
        "paper-1b": (2048, 24, 16, 524_288),
    }
    for name, expected in sizes.items():
        run = config(scale=name)
        assert (run.model.width, run.model.layers, run.model.heads, run.tokens_per_step) == expected


def test_micro_is_nanos_model_and_batch_for_longer() -> None:
    nano, micro = config(scale="nano"), config(scale="micro")
    assert micro.model == nano.model
    changed = {"steps": micro.training.steps, "validations": micro.training.validations}
    assert micro.training == replace(nano.training, learning_rate=micro.training.learning_rate, **changed)
    every = micro.training.steps // micro.training.validations
    assert nano.training.steps % every == 0, "one of micro's validations is at nano's last step"


@pytest.mark.parametrize("scale", [scale for scale in scales() if scale != "nano"])
def test_every_scale_but_nano_reads_twenty_tokens_a_parameter_or_more(scale: str) -> None:
    assert tokens_per_parameter(config(scale=scale)) >= 20


def test_result_is_a_run_config() -> None:
    assert isinstance(config(), RunConfig)
