"""An operation that overrides its declarations is computed as written, by every implementation.

Shapes: B batch, M heads, Q query position, K key position.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.modules.module as globally
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrize

from components import ComponentError
from components.attention import CoreAttention
from components.attention.differential import PairDifference
from components.kernels import streaming
from components.norms import Gate
from components.norms.rms import RMSNorm
from components.score_ops import HeadMixing, Joint, KeyQuery, ScoreOp, Stage
from mta_lab.testing import implementations
from mta_lab.training.flops import flops_per_token
from tests.components.kernels.test_substitute import decoder

HEADS, WIDTH = 2, 8
PARENTS: dict[str, Callable[[], ScoreOp]] = {
    "head mixing": lambda: HeadMixing().build(heads=HEADS),
    "key query": lambda: KeyQuery(kernel=(2, 3)).build(heads=HEADS),
    "exact": lambda: KeyQuery(kernel=(2, 3), mask="exact").build(heads=HEADS),
    "left": lambda: KeyQuery(kernel=(2, 3), padding="left").build(heads=HEADS),
    "joint": lambda: Joint(kernel=(2, 3)).build(heads=HEADS),
    "difference": lambda: PairDifference(heads=HEADS, width=WIDTH // HEADS, layer=2),
}


def doubled(parent: type[ScoreOp]) -> Callable[..., Tensor]:
    return lambda self, scores_BMQK, visible_QK: 2.0 * parent.forward(self, scores_BMQK, visible_QK)


def one_row_more(self: ScoreOp, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
    """Another operation, which reads the row above the last one its parent reads."""
    above_BMQK = scores_BMQK.masked_fill(~visible_QK, 0.0)
    return scores_BMQK + nn.functional.pad(above_BMQK, (0, 0, 4, 0))[:, :, : scores_BMQK.shape[2]]


def called_twice_as_large(self: ScoreOp, *inputs: Tensor) -> Tensor:
    return 2.0 * nn.Module.__call__(self, *inputs)  # type: ignore[no-any-return]


def other_stage(self: ScoreOp) -> Stage:
    return Stage("mix", 2.0 * torch.eye(HEADS).expand(1, HEADS, HEADS))


def as_other_stage(self: ScoreOp, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
    return 2.0 * scores_BMQK


OVERRIDES: dict[str, dict[str, Any]] = {
    "forward, by the parent's": {},
    "forward, with another reach": {"forward": one_row_more},
    "forward and stage": {"forward": as_other_stage, "stage": other_stage, "earlier_queries": 0},
    "the call": {"__call__": called_twice_as_large},
    "a helper of the stage alone": {"centred": lambda self: 3.0 * self.kernel},
    "a helper of both": {"difference_weight": lambda self: torch.tensor(0.25)},
    "nothing": {},
}


@contextmanager
def global_hook() -> Iterator[None]:
    handle = globally.register_module_forward_hook(
        lambda module, _, y: 2.0 * y if isinstance(module, ScoreOp) else None
    )
    try:
        yield
    finally:
        handle.remove()


class Squared(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.square()


ALTERATIONS: dict[str, Callable[[ScoreOp], object]] = {
    "a forward hook": lambda op: op.register_forward_hook(lambda _, inputs, y: 2.0 * y),
    "a hook before": lambda op: op.register_forward_pre_hook(lambda _, inputs: (2.0 * inputs[0], inputs[1])),
    "a backward hook": lambda op: op.register_full_backward_hook(lambda _, gradients, __: (3.0 * gradients[0], None)),
    "a method of the instance": lambda op: setattr(op, "forward", lambda scores, visible: 2.0 * scores),
    "a parametrization": lambda op: parametrize.register_parametrization(op, next(iter(op._parameters)), Squared()),
    "other values": lambda op: [parameter.data.mul_(3.0) for parameter in op.parameters()],
    "nothing": lambda op: None,
}


def layer(op: ScoreOp, place: str, impl: Any) -> CoreAttention:
    places: dict[str, Any] = {"pre_softmax": [], "post_softmax": [], place: [op]}
    torch.manual_seed(0)
    return CoreAttention(width=WIDTH, heads=HEADS, dropout=0.0, impl=impl, norm=nn.Identity(), **places)


def outcome(module: CoreAttention) -> dict[str, Tensor]:
    """The output, and the gradients of the input and all parameters."""
    x = torch.randn(2, 11, WIDTH, generator=torch.Generator().manual_seed(1)).requires_grad_()
    y = module(x)
    leaves = {"x": x, **dict(module.named_parameters())}
    gradients = torch.autograd.grad(y.square().sum(), list(leaves.values()), allow_unused=True)
    return {"y": y.detach(), **{name: g for name, g in zip(leaves, gradients, strict=True) if g is not None}}


def assert_computed_as_written(make: Callable[[], ScoreOp], place: str) -> dict[str, str]:
    """Every implementation equals eager or is refused; returns what ran under each."""
    expected, ran = outcome(layer(make(), place, "eager")), {}
    for impl in ("auto", "fused", "streaming"):
        module = layer(make(), place, "auto")
        module.impl = impl  # type: ignore[assignment]
        try:
            found = outcome(module)
        except ComponentError:
            ran[impl] = "refused"
            continue
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=2e-4, atol=2e-5)
        ran[impl] = module.ran.name if module.ran else ""
    return ran


def derived(parent: str, overrides: list[str]) -> Callable[[], ScoreOp]:
    """Return a maker of random operations, of a class below `parent`.

    Each of `overrides` is one level.
    """

    def make() -> ScoreOp:
        op = PARENTS[parent]()
        for number, name in enumerate(overrides):
            more = {"forward": doubled(type(op))} if name == "forward, by the parent's" else OVERRIDES[name]
            op.__class__ = type(f"Level{number}", (type(op),), dict(more))
        generator = torch.Generator().manual_seed(2)
        for parameter in op.parameters():
            nn.init.normal_(parameter, std=0.4, generator=generator)
        return op

    return make


@pytest.fixture(autouse=True)
def built() -> Iterator[None]:
    implementations.require("fused")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "BLOCK", 4)
        yield


places = st.sampled_from(["pre_softmax", "post_softmax"])


@given(
    parent=st.sampled_from(sorted(PARENTS)),
    overrides=st.lists(st.sampled_from(sorted(OVERRIDES)), max_size=3),
    alteration=st.sampled_from(sorted(ALTERATIONS)),
    place=places,
)
@settings(max_examples=80, deadline=None)
def test_any_subclass_is_computed_as_it_is_written(
    parent: str, overrides: list[str], alteration: str, place: str
) -> None:
    def make() -> ScoreOp:
        op = derived(parent, overrides)()
        ALTERATIONS[alteration](op)
        return op

    assert_computed_as_written(make, place)


@pytest.mark.parametrize(
    ("parent", "override", "auto"),
    [
        ("head mixing", "nothing", "fused"),
        ("key query", "nothing", "fused"),
        ("exact", "nothing", "fused"),
        ("joint", "nothing", "streaming"),
        ("head mixing", "forward, by the parent's", "eager"),
        ("key query", "forward, with another reach", "eager"),
        ("key query", "forward and stage", "fused"),
        ("head mixing", "the call", "eager"),
        ("left", "a helper of the stage alone", "eager"),
        ("difference", "a helper of both", "eager"),
    ],
)
def test_compiled_code_stands_for_what_it_is_known_to_be(parent: str, override: str, auto: str) -> None:
    assert assert_computed_as_written(derived(parent, [override]), "post_softmax")["auto"] == auto


def test_a_constructor_of_its_own_does_not_vouch_for_what_a_parent_wrote() -> None:
    class Parent(ScoreOp):
        def __init__(self) -> None:
            super().__init__()
            self.earlier_queries = 0

        def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
            return 2.0 * scores_BMQK

    class Child(Parent):
        def __init__(self) -> None:
            super().__init__()
            self.extra = nn.Parameter(torch.ones(()))

        def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
            return self.extra * one_row_more(self, scores_BMQK, visible_QK)

    assert assert_computed_as_written(Parent, "pre_softmax")["auto"] == "streaming"
    assert assert_computed_as_written(Child, "pre_softmax")["auto"] == "eager"


@pytest.mark.parametrize("alteration", [name for name in ALTERATIONS if name not in ("nothing", "other values")])
def test_what_is_altered_after_a_forward_counts_from_then_on(alteration: str) -> None:
    op = derived("key query", [])()
    module = layer(op, "pre_softmax", "auto")
    outcome(module)
    assert module.ran is not None
    assert module.ran.name == "fused"
    ALTERATIONS[alteration](op)
    found = outcome(module)
    module.impl = "eager"
    for name, value in outcome(module).items():
        torch.testing.assert_close(found[name], value, rtol=2e-4, atol=2e-5)


def test_hooks_of_an_operation_see_the_whole_map_once() -> None:
    op, seen = derived("key query", [])(), []
    op.register_forward_hook(lambda _, inputs, y: seen.append(list(y.shape)))
    module = layer(op, "pre_softmax", "auto")
    module(torch.randn(1, 11, WIDTH))
    assert seen == [[1, HEADS, 11, 11]]
    assert module.ran is not None
    assert module.ran.reason == "KeyQueryConvolution has hooks"
    for impl in ("fused", "streaming"):
        module.impl = impl  # type: ignore[assignment]
        with pytest.raises(ComponentError, match=r"KeyQueryConvolution has hooks; can run: auto, eager$"):
            module(torch.randn(1, 11, WIDTH))


def test_hooks_on_all_modules_count() -> None:
    with global_hook():
        assert assert_computed_as_written(derived("head mixing", []), "pre_softmax")["auto"] == "eager"
    assert assert_computed_as_written(derived("head mixing", []), "pre_softmax")["auto"] == "fused"


def test_counting_operations_changes_nothing() -> None:
    """torch's counter hooks all modules, only to note their names."""
    model, tokens = decoder("attention=multi_token"), torch.zeros(1, 9, dtype=torch.int64)
    flops_per_token(model, tokens, "fp32")
    assert {block.attention.ran.name for block in model.blocks} == {"fused"}


def test_a_method_replaced_on_the_class_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    make = derived("head mixing", [])
    monkeypatch.setattr(type(make()), "forward", as_other_stage)
    assert assert_computed_as_written(make, "pre_softmax")["auto"] == "eager"


GATE_ALTERATIONS: dict[str, Callable[[Any], object]] = {
    "a hook on the gate": lambda norm: norm.gate.register_forward_hook(lambda _, __, y: y + 1.0),
    "a hook on the norm": lambda norm: norm.rms.register_forward_hook(lambda _, __, y: 2.0 * y),
    "another gate": lambda norm: setattr(norm, "gate", nn.Sequential(norm.gate, nn.Tanh())),
    "another norm": lambda norm: setattr(norm, "rms", nn.LayerNorm(8)),
    "a patched gate": lambda norm: setattr(norm.gate, "forward", lambda y: y.sum(-1, keepdim=True)),
    "a scale": lambda norm: setattr(norm.rms, "scale", 0.5),
    "another epsilon": lambda norm: setattr(norm.rms, "eps", 1.0),
    "a parametrization": lambda norm: parametrize.register_parametrization(norm.gate, "weight", Squared()),
    "weight_norm": lambda norm: nn.utils.parametrizations.weight_norm(norm.gate),
    "nothing": lambda norm: None,
}


@pytest.mark.parametrize("alteration", GATE_ALTERATIONS)
def test_the_parts_of_a_gate_are_what_they_are_made(alteration: str) -> None:
    norm = Gate().build(width=8, model_width=32, layer=1)
    nn.init.normal_(norm.gate.weight, generator=torch.Generator().manual_seed(1))
    GATE_ALTERATIONS[alteration](norm)
    y = torch.randn(2, 3, 4, 8, generator=torch.Generator().manual_seed(2))
    normed = norm.rms(y)
    torch.testing.assert_close(norm(y), normed * torch.sigmoid(norm.gate(normed)))


def test_a_norms_epsilon_and_scale_may_be_set_later() -> None:
    norm, x = RMSNorm(8), torch.randn(3, 8)
    norm.eps, norm.scale = 0.5, 2.0
    torch.testing.assert_close(norm(x), 2.0 * nn.functional.rms_norm(x, (8,), eps=0.5))
