"""The choice of an implementation: every rule of `auto`, and the answer to an explicit setting."""

import re
from typing import get_args

import pytest
import torch
from torch import Tensor

from components import ComponentError
from components.attention import Attention, Differential, MultiToken, Softmax, TalkingHeads
from components.attention.core import CoreConfig
from components.kernels.base import Conditions
from components.kernels.choice import IMPLEMENTATIONS, OWN, Choice, Impl, choose
from components.kernels.cpu import library
from components.norms import NoNorm
from components.score_ops import HeadMixing, Joint, KeyQuery, ScoreOp
from components.score_ops.key_query import Mask, Padding
from mta_lab.errors import UserError
from tests.config.helpers import config

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
MIX, EXACT = HeadMixing().build(heads=2), KeyQuery(mask="exact").build(heads=2)
QUERY = torch.zeros(1, 2, 3, 4)
CORE = (Softmax, MultiToken, TalkingHeads, Differential)


class Whole(ScoreOp):
    """A user's operation that says nothing of itself."""

    def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        return scores_BMQK


class Rows(Whole):
    """One that says which rows it reads."""

    earlier_queries = 0


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the fused kernel were there."""
    monkeypatch.setattr(library, "unavailable", lambda: None)


@pytest.fixture
def not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were not."""
    monkeypatch.setattr(library, "unavailable", lambda: "not built; run something")


def build(variant: CoreConfig) -> Attention:
    """Its layer 3 of 4 with two heads."""
    module = variant.build(width=8, heads=2, layer=3, layers=4)
    assert isinstance(module, Attention)
    return module


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("ops", "where", "dtype", "expected"),
    [
        ([MIX, EXACT], CPU, torch.float32, Choice("fused", "the fastest that can run")),
        ([MIX, EXACT], CPU, torch.bfloat16, Choice("fused", "the fastest that can run")),
        (
            [MIX],
            CPU,
            torch.float64,
            Choice("streaming", "the fused kernel knows float32 and bfloat16, not float64"),
        ),
        ([MIX], CUDA, torch.bfloat16, Choice("streaming", "the fused kernel runs on the CPU, not on cuda")),
        ([MIX, Rows()], CPU, torch.float32, Choice("streaming", "Rows has no fused form")),
        (
            [MIX, Whole()],
            CPU,
            torch.float32,
            Choice("eager", "Whole has no fused form; Whole does not declare its earlier_queries"),
        ),
        ([], CPU, torch.float32, Choice("fused", "the fastest that can run")),
        ([], CPU, torch.bfloat16, Choice("sdpa", "the fastest that can run")),
        (
            [],
            CUDA,
            torch.float16,
            Choice("sdpa", "the fused kernel runs on the CPU, not on cuda; the fastest that can run"),
        ),
    ],
    ids=[
        *("fused", "bfloat16", "float64", "cuda", "no fused form", "whole map"),
        *("no operation", "no operation in bfloat16", "no operation on cuda"),
    ],
)
def test_auto(ops: list[ScoreOp], where: torch.device, dtype: torch.dtype, expected: Choice) -> None:
    assert choose("auto", ops, Conditions(where, dtype)) == expected


@pytest.mark.parametrize("dtype", [None, torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_priorities_leave_no_order_to_chance(dtype: torch.dtype | None) -> None:
    assert len({one.priority(dtype) for one in IMPLEMENTATIONS.values()}) == len(IMPLEMENTATIONS)


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
def test_every_implementation_is_a_word_of_the_setting(impl: Impl) -> None:
    ops = [MIX] if IMPLEMENTATIONS[impl].takes_operations else []
    if IMPLEMENTATIONS[impl].obstacle(ops, Conditions(CPU, torch.float32)) is None:
        assert choose(impl, ops, Conditions(CPU, torch.float32)) == Choice(impl, f"set by impl: {impl}")


@pytest.mark.usefixtures("not_built")
def test_auto_without_the_fused_kernel() -> None:
    expected = Choice("streaming", "the fused kernel cannot be loaded (not built; run something)")
    assert choose("auto", [MIX], Conditions(CPU, torch.float32)) == expected


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("impl", ["eager", "streaming", "fused"])
@pytest.mark.parametrize("variant", CORE)
def test_what_is_set_runs(variant: type[CoreConfig], impl: Impl) -> None:
    expected = Choice(impl, f"set by impl: {impl}")
    assert build(variant(impl=impl)).implementation(QUERY) == expected


@pytest.mark.usefixtures("not_built")
@pytest.mark.parametrize("variant", CORE)
def test_fused_that_is_not_built_is_refused_when_a_layer_is_built(variant: type[CoreConfig]) -> None:
    message = "impl: got 'fused', but the fused kernel cannot be loaded (not built; run something); can run: auto, "
    with pytest.raises(ComponentError, match=re.escape(message)):
        build(variant(impl="fused"))


@pytest.mark.usefixtures("not_built")
def test_a_configuration_that_asks_for_it_is_refused_in_one_line() -> None:
    with pytest.raises(UserError) as refused:
        config("attention={name: talking_heads, impl: fused}")
    assert str(refused.value).startswith("command line: attention: impl: got 'fused', but the fused kernel cannot")
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("built")
def test_fused_is_refused_on_another_device_and_dtype_at_the_first_forward() -> None:
    module = build(MultiToken(impl="fused"))
    with pytest.raises(ComponentError, match=r"'fused', but the fused kernel runs on the CPU, not on meta; can run"):
        module.to("meta")(torch.randn(1, 5, 8, device="meta"))
    with pytest.raises(ComponentError, match=r"knows float32 and bfloat16, not float64; can run: auto, streaming"):
        build(MultiToken(impl="fused")).double()(torch.randn(1, 5, 8).double())
    with pytest.raises(ComponentError, match=r"runs on the CPU, not on cuda; can run: auto, streaming, eager$"):
        choose("fused", [MIX], Conditions(CUDA, torch.float32))


@pytest.mark.usefixtures("built")
def test_operations_decide_what_can_run() -> None:
    with pytest.raises(ComponentError, match=r"'fused', but Rows has no fused form; can run: auto, streaming, eager$"):
        choose("fused", [MIX, Rows()], Conditions(CPU, torch.float32))
    with pytest.raises(
        ComponentError, match=r"'streaming', but Whole does not .* earlier_queries; can run: auto, eager$"
    ):
        choose("streaming", [Whole()], Conditions(CPU, torch.float32))
    assert choose("eager", [Whole()], Conditions(CUDA, torch.float16)).name == "eager"


@pytest.mark.usefixtures("built")
def test_a_joint_kernel_has_no_fused_form() -> None:
    lists = {"pre_softmax": (Joint(),), "post_softmax": (HeadMixing(),)}
    choice = build(MultiToken(**lists)).implementation(QUERY)
    assert choice == Choice("streaming", "JointConvolution has no fused form")
    with pytest.raises(ComponentError, match=r"JointConvolution has no fused form; can run: auto, streaming, eager$"):
        build(MultiToken(impl="fused", **lists))


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("padding", ["left", "right"])
def test_padding_to_one_side_is_fused(padding: Padding) -> None:
    ops = [KeyQuery(padding=padding, mask=mask).build(heads=2) for mask in get_args(Mask)]
    assert choose("auto", ops, Conditions(CPU, torch.float32)) == Choice("fused", "the fastest that can run")


@pytest.mark.parametrize("impl", ["fast", "Eager", ""])
@pytest.mark.parametrize("variant", CORE)
def test_unknown_implementation_is_refused(variant: type[CoreConfig], impl: str) -> None:
    allowed = "'auto', 'sdpa', 'fused', 'streaming' or 'eager'"
    with pytest.raises(ComponentError, match=f"^impl: got '{impl}', allowed: {allowed}$"):
        variant(impl=impl)  # type: ignore[arg-type]
    module = build(variant())
    module.impl = impl
    with pytest.raises(ComponentError, match=f"^impl: got '{impl}', allowed: {allowed}$"):
        module(torch.randn(1, 5, 8))


@pytest.mark.usefixtures("built")
def test_torchs_own_attention_takes_no_operation() -> None:
    """'every 4' stands on layer 3 alone: the other layers can, and a setting holds for all."""
    variant = MultiToken(impl="sdpa", pre_softmax=(KeyQuery(),), post_softmax=(), norm=NoNorm())
    module = variant.build(width=8, heads=2, layer=2, layers=4)
    assert isinstance(module, Attention)
    module(torch.randn(1, 5, 8))
    assert module.ran == Choice("sdpa", "set by impl: sdpa")
    with pytest.raises(ComponentError, match=r"'sdpa', but KeyQueryConvolution acts on the map; can run: auto, fused"):
        variant.build(width=8, heads=2, layer=3, layers=4)


def test_what_ran_is_told_by_the_module() -> None:
    softmax, eager = build(Softmax(impl="sdpa")), build(TalkingHeads(impl="eager"))
    assert (softmax.ran, eager.ran) == (None, None)
    for module in (softmax, eager):
        module(torch.randn(1, 5, 8))
    assert (softmax.ran, eager.ran) == (Choice("sdpa", "set by impl: sdpa"), Choice("eager", "set by impl: eager"))


def test_a_variant_that_attends_itself_says_own() -> None:
    class Values(Attention):
        def attend(self, query_BMTd: Tensor, key_BMTd: Tensor, value_BMTd: Tensor) -> Tensor:
            return value_BMTd

    module = Values(width=8, heads=2)
    module(torch.randn(1, 5, 8))
    assert module.ran == OWN
