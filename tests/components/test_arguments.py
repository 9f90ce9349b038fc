"""Every setting that a component takes is right, or refused in one line with what is allowed.

The tests enumerate the registry: each setting of each component under values of other types. What
it is built for: `test_sizes.py`; what a layer is called with: `test_inputs.py`.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import numpy
import pytest
import torch
from torch import nn

from components import Component, ComponentError, register
from components.attention import AttentionConfig, MultiToken, Softmax
from components.evaluations import Evaluation, Needles
from components.kernel_init import Constant, KernelInitConfig, Uniform
from components.norms import Depth, Gate, NormConfig
from components.optimizers import AdamW, OptimizerConfig
from components.score_ops import HeadMixing, Joint, KeyQuery, ScoreOpConfig
from components.score_ops.base import LayerRule
from components.score_ops.head_mixing import Group
from components.tasks import FindBlock
from mta_lab.testing.subjects import VARIANTS
from tests.config.helpers import registry_restored

NO_NUMBERS: tuple[Any, ...] = ("1", None, True, False, (1,), [1], {}, object, torch.tensor(1.5))
WRONG: dict[Any, tuple[Any, ...]] = {
    bool: (0, 1, None, "true", 1.0, torch.tensor(True)),
    int: (*NO_NUMBERS, 1.0, 2.5, 1j, numpy.int64(2), torch.tensor(2)),
    float: (*NO_NUMBERS, 1j, numpy.float32(1.0)),
    Group: (*NO_NUMBERS, 2.0, "All", "", ("all",)),
    LayerRule: (3, 3.0, None, True, [3], {3}, (True,), (3.0,), ("3",), ((3,),), range(3)),
    tuple[LayerRule, ...]: ("every 4", None, 3, ["rest"], {"rest"}, (3,), (None,), ([3],), (("3",),), ((True,),)),
    str | None: (3, 3.0, True, b"text", ("text",), ["text"]),
    tuple[str, ...]: ("text", None, 3, ["text"], {"text"}, (3,), ("text", None)),
    tuple[int, ...]: (3, None, "3", [3], {3}, (3.0,), (True,), ("3",), range(3)),
    tuple[int, int]: (6, "6x11", None, (), (6,), (6, 11, 1), (6.0, 11), (6, True), [6, 11], {6, 11}, torch.ones(2)),
    float | None: (*(value for value in NO_NUMBERS if value is not None), 1j, numpy.float32(1.0)),
    int | None: (*(value for value in NO_NUMBERS if value is not None), 1.0, 2.5),
    OptimizerConfig: ("adamw", AdamW, HeadMixing(), None, (AdamW(),), {"name": "adamw"}),
    NormConfig: ("gate", Gate, HeadMixing(), None, (Gate(),), {"name": "gate"}, nn.Identity()),
    KernelInitConfig: ("zero", Constant, Gate(), None, (Constant(),), 0.3),
    tuple[ScoreOpConfig, ...]: (KeyQuery(), ["key_query"], ("key_query",), [KeyQuery()], (KeyQuery,), (Gate(),), None),
    tuple[AttentionConfig, ...]: (Softmax(), ["softmax"], ("softmax",), [Softmax()], (Softmax,), (Gate(),), None),
    tuple[Evaluation, ...]: (Needles(), ["needles"], ("needles",), [Needles()], (Needles,), (Gate(),), None),
}
"""values of other types, by the type of the setting; of one
of a few texts, they are other texts and no texts"""
NO_TEXTS: tuple[Any, ...] = ("", "no such word", None, True, 0, ("all",), ["auto"], b"auto")
SETTINGS = [(variant, field.name) for variant in VARIANTS for field in dataclasses.fields(variant)]


def wrong(hint: Any) -> tuple[Any, ...] | None:
    """Values that a setting of this type cannot have; None for types that nothing shipped has."""
    return NO_TEXTS if str(hint).startswith("typing.Literal[") else WRONG.get(hint)


def refused(call: Callable[[], object]) -> str:
    """Return what is said, in one line."""
    with pytest.raises(ComponentError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("variant", "name"), SETTINGS, ids=[f"{variant.family}-{variant.name}-{name}" for variant, name in SETTINGS]
)
def test_a_setting_of_another_type_is_refused_where_it_is_made(variant: type[Component], name: str) -> None:
    values = wrong(get_type_hints(variant)[name])
    if values is None and not variant.__module__.startswith("components."):
        pytest.skip("a type of your own")
    assert values, f"say in WRONG what {variant.__name__}.{name} cannot be"
    default, config = getattr(variant, name), variant()
    for value in values:
        assert refused(lambda value=value: variant(**{name: value})).startswith(f"{name}: got "), value
        assert refused(lambda value=value: dataclasses.replace(config, **{name: value})).startswith(f"{name}: got ")
    assert variant(**{name: default}) == config


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: HeadMixing(group=True), "group: got True, allowed: a whole number, or 'all'"),
        (lambda: KeyQuery(kernel=6), "kernel: got 6, allowed: a tuple of 2 whole numbers"),
        (lambda: Joint(kernel=[6, 11]), "kernel: got [6, 11], allowed: a tuple of 2 whole numbers"),
        (lambda: KeyQuery(layers=(True,)), "layers: got (True,), allowed: a text, or a tuple of whole numbers"),
        (lambda: KeyQuery(mask="dubble"), "mask: got 'dubble', allowed: 'double' or 'exact'"),
        (lambda: Uniform(low=None), "low: got None, allowed: a number"),
        (lambda: Softmax(dropout=False), "dropout: got False, allowed: a number"),
        (lambda: FindBlock(letters=5.0), "letters: got 5.0, allowed: a whole number"),
        (lambda: MultiToken(norm="gate"), "norm: got 'gate', allowed: a component of norms, like Gate()"),
        (lambda: MultiToken(norm=Depth), "norm: got the class Depth, allowed: a component of norms, like Depth()"),
        (
            lambda: MultiToken(pre_softmax=["joint"]),
            "pre_softmax: got ['joint'], allowed: a tuple of components of score_ops, like (Joint(),)",
        ),
    ],
)
def test_what_is_said_of_a_wrong_type(make: Callable[[], object], says: str) -> None:
    assert refused(make) == says


def test_a_component_in_place_of_a_tuple_is_shown_how_to_write() -> None:
    says = refused(lambda: MultiToken(post_softmax=HeadMixing()))  # type: ignore[arg-type]
    assert says.startswith("post_softmax: got HeadMixing(")
    assert says.endswith("allowed: a tuple of components of score_ops, like (HeadMixing(),)")


def test_whole_numbers_are_numbers() -> None:
    assert Softmax(dropout=0) == Softmax()
    assert Constant(value=numpy.float64(0.3)) == Constant()


@pytest.fixture
def registry() -> Iterator[None]:
    with registry_restored():
        yield


@pytest.mark.usefixtures("registry")
def test_settings_of_a_users_component_are_held_to_their_types() -> None:
    """Whatever its own checks are, and whether they call those of the class above."""

    @register("score_ops", "mine")
    class Mine(HeadMixing):
        """A user's operation."""

        window: tuple[int, str] = (1, "a")
        """a pair"""
        start: float | None = None
        """a number or nothing"""
        inner: Gate = Gate()
        """a component of one class"""
        anything: Any = None
        """anything"""

        def __post_init__(self) -> None:
            assert self.window[0] >= 0, "the types are right where this runs"

    assert Mine(window=(2, "b"), start=1, anything=object).start == 1
    for name, value in {
        "window": ("a", 1),
        "start": "1",
        "inner": Depth(),
        "group": True,
        "layers": [1],
    }.items():
        assert refused(lambda name=name, value=value: Mine(**{name: value})).startswith(f"{name}: got ")
    assert refused(lambda: Mine(start=())) == "start: got (), allowed: a number, or None"  # type: ignore[arg-type]
    assert refused(lambda: Mine(window=())) == "window: got (), allowed: a tuple of a whole number, a text"  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'windw'"):
        Mine(windw=(1, "a"))  # type: ignore[call-arg]


@pytest.mark.usefixtures("registry")
def test_a_default_of_another_type_is_refused_with_its_place() -> None:
    @register("norms", "mine")
    class Mine(Depth):
        """A user's norm."""

        power: int = 0.5  # type: ignore[assignment]
        """a wrong default"""

    says = refused(lambda: Mine(power=1))
    assert "test_arguments.py:" in says
    assert says.endswith(": the default of power: got 0.5, allowed: a whole number")


@pytest.mark.usefixtures("registry")
def test_a_type_that_cannot_be_read_is_refused_with_its_place() -> None:
    @register("norms", "mine")
    class Mine(Depth):
        """A user's norm."""

        power: "Unknown" = 1  # type: ignore[name-defined] # noqa: F821
        """of a type that is nowhere"""

    says = refused(Mine)
    assert "test_arguments.py:" in says
    assert says.endswith("the type of a setting cannot be read: name 'Unknown' is not defined")
