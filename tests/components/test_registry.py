"""Refusals of the registry and the configs, and the layers that a rule names."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field

import pytest
import torch
from torch import nn

from components import FAMILIES, Component, ComponentError, Family, register
from components.attention import AttentionConfig, Differential, MultiToken, Softmax, TalkingHeads
from components.norms import Gate, NormConfig
from components.score_ops import HeadMixing, Joint, KeyQuery, ScoreOpConfig, layers_of


@pytest.fixture
def boats() -> Iterator[Family]:
    """A family of its own with one variant, `canoe`; gone after the test."""

    class Boat(Component, family="boats"):
        """Base of all boats."""

    try:

        @register("boats", "canoe")
        class Canoe(Boat):
            """A light boat."""

            seats: int = 2
            """how many can sit"""

        yield FAMILIES["boats"]
    finally:
        del FAMILIES["boats"]


def refused(*parts: str) -> pytest.RaisesExc[ComponentError]:
    """Expect a ComponentError whose message holds all `parts`, in this order."""
    return pytest.raises(ComponentError, match=".*".join(map(re.escape, parts)))


def test_component_error_is_a_value_error() -> None:
    assert issubclass(ComponentError, ValueError)


def test_registered_class_is_found_under_its_name(boats: Family) -> None:
    canoe = boats.get("canoe")
    assert (canoe.name, canoe.family, canoe.__doc__) == ("canoe", "boats", "A light boat.")
    assert issubclass(canoe, boats.base)
    assert canoe(seats=3) == canoe(seats=3) != canoe()  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["", " ", "a b", "1e-3", "10", ".inf", "null", "true", "a\nb", "\x1b[31m", 5, None])
def test_a_name_that_is_no_text_wherever_it_is_written_is_refused(boats: Family, name: object) -> None:
    with refused(f"got {name!a} as a name of boats, allowed: a letter, then letters"):
        register("boats", name)(type("Ark", (boats.base,), {"__doc__": "Large."}))  # type: ignore[arg-type]
    assert boats.names() == ["canoe"]


@pytest.mark.parametrize("setting", ["name", "family", "exempt"])
def test_a_setting_called_as_what_every_component_has_is_refused(boats: Family, setting: str) -> None:
    values = {"__doc__": "Large.", "__annotations__": {setting: str}, setting: "x"}
    with refused(f"'ark' has a setting '{setting}'"):
        register("boats", "ark")(type("Ark", (boats.base,), values))
    assert boats.names() == ["canoe"]


@pytest.mark.parametrize(
    ("kind", "default"),
    [(complex, 1j), (bytes, b"a"), (torch.dtype, torch.float32), (torch.Tensor, None), (set[int], None), (object, 5)],
)
def test_a_setting_that_no_sweep_file_can_hold_is_refused(boats: Family, kind: object, default: object) -> None:
    ark = type("Ark", (boats.base,), {"__doc__": "Large.", "__annotations__": {"x": kind}, "x": default})
    with refused("the type of x is ", ", which no sweep file can hold; allowed: int, float,"):
        register("boats", "ark")(ark)()


@pytest.mark.parametrize("kind", [dict, list, dict[str, int], list[str], Mapping[str, int], tuple[dict[str, int], ...]])
def test_a_setting_that_cannot_be_looked_up_is_refused_with_what_to_write(boats: Family, kind: object) -> None:
    held = {"hashed": field(default_factory=dict), "not hashed": field(default_factory=dict, hash=False)}
    arks = {
        name: type("Ark", (boats.base,), {"__doc__": "Large.", "__annotations__": {"x": kind}, "x": x})
        for name, x in held.items()
    }
    with refused("the setting x holds a list or a mapping", "write a tuple", "field(default_factory=dict, hash=False)"):
        register("boats", "ark")(arks["hashed"])()
    hash(register("boats", "barge")(arks["not hashed"])())


def test_names_are_sorted(boats: Family) -> None:
    @register("boats", "ark")
    class Ark(boats.base):  # type: ignore[name-defined, misc]
        """A large boat."""

    assert boats.names() == ["ark", "canoe"]
    assert boats.get("ark") is Ark


def test_duplicate_name_is_refused_and_changes_nothing(boats: Family) -> None:
    canoe = boats.get("canoe")
    with refused("boats 'canoe' is registered twice", "test_registry.py", "test_registry.py"):

        @register("boats", "canoe")
        class Another(boats.base):  # type: ignore[name-defined, misc]
            """Another light boat."""

    assert boats.get("canoe") is canoe


def test_unknown_name_suggests_the_nearest_and_lists_all(boats: Family) -> None:
    with refused("no boats named 'canou'", "did you mean 'canoe'?", "known: canoe"):
        boats.get("canou")
    with pytest.raises(ComponentError) as far_off:
        boats.get("zzz")
    assert "did you mean" not in str(far_off.value)


def test_unknown_family_suggests_the_nearest(boats: Family) -> None:
    with refused("no family named 'boat'", "did you mean 'boats'?", "attention", "norms"):
        register("boat", "canoe")


def test_class_of_another_family_is_refused(boats: Family) -> None:
    with refused("'canoe' must subclass NormConfig"):
        register("norms", "canoe")(boats.get("canoe"))
    assert "canoe" not in FAMILIES["norms"].names()


def test_class_without_docstring_is_refused(boats: Family) -> None:
    with refused("'raft' needs a docstring"):

        @register("boats", "raft")
        class Raft(boats.base):  # type: ignore[name-defined, misc]
            seats: int = 1

    assert "raft" not in boats.names()


@pytest.mark.parametrize(
    ("family", "lacks"),
    [("attention", "build"), ("score_ops", "build"), ("norms", "build"), ("kernel_init", "fill"), ("tasks", "check")],
)
def test_class_without_the_method_of_its_family_is_refused(family: str, lacks: str) -> None:
    class Empty(FAMILIES[family].base):  # type: ignore[misc]
        """A component that does nothing."""

    with refused("test_registry.py:", f": 'empty' needs {lacks}, as {FAMILIES[family].base.__name__} says"):
        register(family, "empty")(Empty)
    assert "empty" not in FAMILIES[family].names()


def test_shipped_components_are_registered_under_their_names() -> None:
    for family, names in {
        "attention": {"softmax", "multi_token", "talking_heads", "differential"},
        "score_ops": {"key_query", "head_mixing", "joint"},
        "norms": {"none", "plain", "depth", "layer_norm", "layer_norm_block", "gate"},
        "kernel_init": {"identity", "zero", "constant", "uniform", "normal", "diagonal"},
    }.items():
        assert names <= set(FAMILIES[family].names())
    assert FAMILIES["attention"].base is AttentionConfig
    assert FAMILIES["norms"].base is NormConfig


@pytest.mark.parametrize(
    ("rule", "layers", "expected"),
    [
        ("all", 3, {1, 2, 3}),
        ("none", 3, set()),
        ("every 1", 3, {1, 2, 3}),
        ("every 2", 6, {1, 3, 5}),
        ("every 4", 24, {3, 7, 11, 15, 19, 23}),  # section 4.2's 880M model
        ("every 4", 3, {3}),
        ("spread 0", 3, set()),
        ("spread 1", 24, {23}),
        ("spread 2", 24, {11, 23}),
        ("spread 6", 24, {3, 7, 11, 15, 19, 23}),  # 'every 4'
        ("spread 4", 10, {2, 4, 7, 9}),
        ("spread 3", 4, {1, 2, 3}),
        ("spread 1", 2, {1}),
        ("spread 4", 4, {1, 2, 3, 4}),
        ("spread 1", 1, {1}),
        ((3, 7), 8, {3, 7}),
        ((1,), 1, {1}),
        ((7, 3), 8, {3, 7}),
    ],
)
def test_layer_rule(rule: str | tuple[int, ...], layers: int, expected: set[int]) -> None:
    assert layers_of(rule, layers) == expected
    on = {layer for layer in range(1, layers + 1) if HeadMixing(layers=rule).on_layer(layer, layers)}
    assert on == expected


def test_spread_picks_as_many_layers_as_it_says() -> None:
    for layers in range(1, 33):
        for number in range(layers + 1):
            chosen = sorted(layers_of(f"spread {number}", layers))
            gaps = {after - before for before, after in itertools.pairwise(chosen)}
            assert len(chosen) == number
            assert not gaps or max(gaps) - min(gaps) <= 1
    assert all(layers_of(f"spread {24 // n}", 24) == layers_of(f"every {n}", 24) for n in (2, 3, 4, 6, 8, 12, 24))


def test_more_layers_than_there_are_is_refused() -> None:
    with refused("layers: got 'spread 5', allowed: up to 'spread 4', all of the model's layers"):
        layers_of("spread 5", 4)


@pytest.mark.parametrize(
    "rule",
    [
        *("", "al", "All", "every", "every4", "every -4", "every 0", "every 00", "every 4th", "every 2.5"),
        *("spread", "spread all", "spread -1", "spread  2", "spread 2.5", "spred 2"),
    ],
)
def test_misspelt_layer_rule_is_refused(rule: str) -> None:
    with refused(f"layers: got '{rule}'", "'all', 'none', 'every N'", "'spread N'"):
        layers_of(rule, 12)


@pytest.mark.parametrize(("rule", "wrong"), [((0, 1), 0), ((1, 5), 5), ((-1,), -1)])
def test_layer_outside_the_model_is_refused(rule: tuple[int, ...], wrong: int) -> None:
    with refused(f"layers: got {wrong}", "1 to 4"):
        layers_of(rule, 4)


@pytest.mark.parametrize(("rule", "layers"), [("every 4", 2), ("every 9", 7)])
def test_rule_that_picks_no_layer_is_refused(rule: str, layers: int) -> None:
    with refused(f"'{rule}' picks none", f"{layers} layers, allowed: 'all', 'none'"):
        layers_of(rule, layers)


def build(config: AttentionConfig, *, width: int = 24, heads: int = 4) -> nn.Module:
    """The config's module in the only layer of a model."""
    return config.build(width=width, heads=heads, layer=1, layers=1)


@pytest.mark.parametrize("kernel", [(0, 11), (6, 0), (-1, 3)])
def test_empty_kernel_is_refused(kernel: tuple[int, int]) -> None:
    for op in (KeyQuery, Joint):
        with refused(f"kernel: got {list(kernel)}", "at least 1"):
            op(kernel=kernel)


def test_unknown_mask_is_refused() -> None:
    with refused("mask: got 'causal'", "'double' or 'exact'"):
        KeyQuery(mask="causal")  # type: ignore[arg-type]


def test_unknown_padding_is_refused() -> None:
    with refused("padding: got 'centre'", "'both', 'left' or 'right'"):
        KeyQuery(padding="centre")  # type: ignore[arg-type]


def test_unknown_kind_of_gate_is_refused() -> None:
    with refused("per: got 'head'", "'scalar' or 'channel'"):
        Gate(per="head")  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["pre_softmax", "post_softmax"])
def test_exact_masking_after_a_convolution_is_refused(place: str) -> None:
    """Equation 4 reads logits at keys after the earlier query; a convolution keeps none there."""
    plain, exact = KeyQuery(layers="all"), KeyQuery(layers="all", mask="exact")
    lists: dict[str, tuple[ScoreOpConfig, ...]] = {"pre_softmax": (), "post_softmax": ()}
    for before in (plain, exact):
        with refused(f"{place}: ExactConvolution after", "head_mixing, or mask: double"):
            build(MultiToken(**{**lists, place: (before, HeadMixing(), exact)}))
    build(MultiToken(**{**lists, place: (HeadMixing(), exact, HeadMixing(), plain)}))
    build(MultiToken(**{**lists, place: (KeyQuery(layers="none"), exact)}))  # stands on no layer


def test_operation_that_is_none_is_refused() -> None:
    class NoOperation(HeadMixing):
        def build(self, *, heads: int) -> nn.Module:  # type: ignore[override]
            return nn.Identity()

    with refused("pre_softmax: Identity is no ScoreOp"):
        build(MultiToken(pre_softmax=(NoOperation(),), post_softmax=()))


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 1.5, float("nan")])
@pytest.mark.parametrize("variant", [Softmax, MultiToken, TalkingHeads, Differential])
def test_dropout_out_of_range_is_refused(variant: Callable[..., AttentionConfig], dropout: float) -> None:
    with refused(f"dropout: got {dropout}", "0 <= dropout < 1"):
        variant(dropout=dropout)


@pytest.mark.parametrize("group", [0, -2])
def test_group_below_one_is_refused(group: int) -> None:
    for op in (HeadMixing, Joint):
        with refused(f"group: got {group}", "'all'"):
            op(group=group)


@pytest.mark.parametrize("group", [3, 8])
def test_group_that_does_not_divide_the_heads_is_refused(group: int) -> None:
    for op in (HeadMixing(group=group), Joint(layers="all", group=group)):
        with refused(f"group: got {group}", "4 heads"):
            build(MultiToken(pre_softmax=(), post_softmax=(op,)))


def test_odd_heads_are_refused_by_differential() -> None:
    with refused("heads: got 3", "even"):
        build(Differential(), heads=3)


@pytest.mark.parametrize(
    "config", [Softmax(), TalkingHeads(), Differential(), MultiToken(pre_softmax=(), post_softmax=())]
)
def test_heads_that_do_not_divide_the_width_are_refused(config: AttentionConfig) -> None:
    with refused("heads: got 4", "divisor of the width 26"):
        build(config, width=26)


def test_misspelt_layer_rule_is_refused_when_a_layer_is_built() -> None:
    with refused("layers: got 'evry 4'"):
        build(MultiToken(pre_softmax=(KeyQuery(layers="evry 4"),)))
