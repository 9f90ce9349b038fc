"""Derivatives of every kind through compiled code are right or refused; one switch turns it off."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from components import ComponentError, set_compiled
from components.attention import CoreAttention, CoreConfig, MultiToken, Softmax
from components.feed_forward import SwiGLU
from components.kernels import pointwise, streaming
from components.norms import Gate, NoNorm
from components.norms.rms import RMSNorm
from components.score_ops import HeadMixing
from mta_lab.errors import UserError
from mta_lab.model import build_model
from mta_lab.testing import implementations
from mta_lab.training.loss import predict
from tests.components.kernels.test_pointwise import OPERATIONS
from tests.config.helpers import config

Scalar = Callable[[Tensor], Tensor]
Asked = Callable[[Scalar, Tensor], Tensor]


@pytest.fixture(autouse=True)
def built() -> None:
    implementations.require("fused")


def direction(x: Tensor) -> Tensor:
    return torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)


def along_the_gradient(f: Scalar, x: Tensor) -> Tensor:
    """The derivative of the gradient in a direction, where a second path leads around `f`."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(x) + x.pow(3).sum(), x, create_graph=True)
    return torch.autograd.grad(gradient, x, direction(x))[0]


def penalty(f: Scalar, x: Tensor) -> Tensor:
    """The gradient of a loss that has a gradient in it, by `backward`."""
    x = x.clone().requires_grad_()
    value = f(x) + x.pow(3).sum()
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    (value + gradient.square().sum()).backward()
    assert x.grad is not None
    return x.grad


def dual(f: Scalar, x: Tensor) -> Tensor:
    with forward_ad.dual_level():
        return torch.as_tensor(forward_ad.unpack_dual(f(forward_ad.make_dual(x, direction(x)))).tangent)


def batched(f: Scalar, x: Tensor) -> Tensor:
    """Several backward passes at once."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x).expand(2), x, torch.eye(2, dtype=x.dtype), is_grads_batched=True)[0]


class Tagged(torch.Tensor):
    """A subclass that changes nothing."""


def tagged(f: Scalar, x: Tensor) -> Tensor:
    return f(x.as_subclass(Tagged)).as_subclass(torch.Tensor)


TWICE: dict[str, Asked] = {
    "gradient of the gradient": along_the_gradient,
    "gradient penalty": penalty,
    "functional.hvp": lambda f, x: torch.autograd.functional.hvp(f, x, direction(x))[1],
    "functional.vhp": lambda f, x: torch.autograd.functional.vhp(f, x, direction(x))[1],
    "functional.hessian": torch.autograd.functional.hessian,
    "functional.jvp": lambda f, x: torch.autograd.functional.jvp(f, x, direction(x))[1],
}
"""asked with create_graph=True: nothing but the reference has them"""
TRANSFORMED: dict[str, Asked] = {
    "func.grad": lambda f, x: torch.func.grad(f)(x),
    "func.vmap of grad": lambda f, x: torch.func.vmap(torch.func.grad(f))(torch.stack((x, 2 * x))),
    "func.vmap": lambda f, x: torch.func.vmap(f)(torch.stack((x, 2 * x))),
    "func.jvp": lambda f, x: torch.func.jvp(f, (x,), (direction(x),))[1],
    "func.grad of grad": lambda f, x: torch.func.grad(lambda z: torch.func.grad(f)(z).square().sum())(x),
    "func.hessian": lambda f, x: torch.func.hessian(f)(x),
    "dual numbers": dual,
    "a subclass of Tensor": tagged,
}
"""seen in the forward pass: compiled code steps aside"""


def module(compiled: bool, variant: CoreConfig) -> nn.Module:
    layer = variant.build(width=16, heads=2, layer=3, layers=4)
    generator = torch.Generator().manual_seed(1)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return set_compiled(layer, compiled)


def residual(variant: CoreConfig) -> tuple[Callable[[bool], Callable[[Tensor], Tensor]], Tensor]:
    """Return a layer with a path around it, and tokens: float32 compiled, or float64 without."""

    def make(compiled: bool) -> Callable[[Tensor], Tensor]:
        layer = module(compiled, variant) if compiled else module(compiled, variant).double()
        return lambda x: x + layer(x)

    return make, torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(2))


def row(number: int) -> tuple[Callable[[bool], Callable[[Tensor], Tensor]], Tensor]:
    """An operation on rows, its first operand to be differentiated."""
    operation = OPERATIONS[number]
    first, *others = operation.draw(3, 4)

    def make(compiled: bool) -> Callable[[Tensor], Tensor]:
        given = others if compiled else [x.double() if x.is_floating_point() else x for x in others]
        return lambda x: operation.call(x, *given)

    return make, first


SUBJECTS = {operation.name: row(number) for number, operation in enumerate(OPERATIONS)} | {
    "softmax": residual(Softmax()),
    "multi_token": residual(MultiToken()),
}
every_subject = pytest.mark.parametrize("subject", SUBJECTS)


def answers(subject: str, asked: Asked) -> tuple[Tensor | RuntimeError, Tensor]:
    """Return what compiled code says, in float32, and the right answer, in float64."""
    make, x = SUBJECTS[subject]
    function, exact = make(True), make(False)
    right = asked(lambda z: exact(z).square().sum(), x.double())
    try:
        return asked(lambda z: function(z).square().sum(), x), right
    except RuntimeError as error:
        return error, right


def assert_right(found: Tensor | RuntimeError, right: Tensor) -> None:
    assert isinstance(found, Tensor), found
    torch.testing.assert_close(found.double(), right, rtol=1e-4, atol=1e-4 * right.abs().max().item())


@pytest.mark.parametrize("how", TWICE)
@every_subject
def test_a_second_derivative_is_refused_with_the_switch(subject: str, how: str) -> None:
    found, _ = answers(subject, TWICE[how])
    assert isinstance(found, RuntimeError), "silently something"
    assert "no second derivative" in str(found)
    assert "components.set_compiled(model, False)" in str(found)
    assert "training.compiled=false" in str(found)


@pytest.mark.parametrize("how", TRANSFORMED)
@every_subject
def test_what_the_forward_pass_can_see_is_right(subject: str, how: str) -> None:
    assert_right(*answers(subject, TRANSFORMED[how]))


@every_subject
def test_several_backward_passes_at_once_are_right_or_refused(subject: str) -> None:
    found, right = answers(subject, batched)
    if isinstance(found, RuntimeError):
        assert "Batching rule not implemented" in str(found)
    else:
        assert_right(found, right)


@pytest.mark.parametrize("how", [*TWICE, *TRANSFORMED])
@pytest.mark.parametrize("variant", [Softmax(), MultiToken()], ids=["softmax", "multi_token"])
def test_with_the_switch_off_all_derivatives_are_right(
    variant: CoreConfig, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of three tokens: streaming has second derivatives, too."""
    monkeypatch.setattr(streaming, "BLOCK", 3)
    asked, (make, x) = {**TWICE, **TRANSFORMED}[how], residual(variant)
    layer, exact = module(False, variant), make(False)
    found = asked(lambda z: (z + layer(z)).square().sum(), x)
    assert_right(found, asked(lambda z: exact(z).square().sum(), x.double()))


SMALL = ("model.width=16", "model.heads=2", "model.layers=3", "model.vocabulary=300", "model.feed_forward_multiple=8")


def decoder(*settings: str) -> Any:
    return build_model(config(*SMALL, *settings), seed=0)


@pytest.mark.parametrize("attention", ["softmax", "multi_token", "talking_heads", "differential"])
def test_the_setting_turns_all_compiled_operators_off(attention: str) -> None:
    """Check double backward, gradients by sample and Jacobian-vector products of a decoder."""
    model = decoder(f"attention={attention}", "training.compiled=false")
    tokens = torch.randint(300, (3, 8), generator=torch.Generator().manual_seed(3))
    exact = decoder(f"attention={attention}", "training.compiled=false").double()

    def loss(model: Any, parameters: dict[str, Tensor], tokens: Tensor) -> Tensor:
        logits = torch.func.functional_call(model, parameters, (tokens[:, :-1],))
        return pointwise.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), compiled=model.compiled).mean()

    def found(model: Any) -> dict[str, Tensor]:
        given = {name: parameter.detach() for name, parameter in model.named_parameters()}
        along = {name: direction(parameter) for name, parameter in given.items()}
        leaves = {name: parameter.clone().requires_grad_() for name, parameter in given.items()}
        total = loss(model, leaves, tokens)
        gradients = torch.autograd.grad(total, list(leaves.values()), create_graph=True)
        twice = torch.autograd.grad(gradients, list(leaves.values()), list(along.values()))
        by_sample = torch.func.vmap(
            torch.func.grad(lambda parameters, one: loss(model, parameters, one[None])), in_dims=(None, 0)
        )(given, tokens)
        _, product = torch.func.jvp(lambda parameters: loss(model, parameters, tokens), (given,), (along,))
        return {"product": product, **by_sample} | {f"{name} twice": h for name, h in zip(leaves, twice, strict=True)}

    right = found(exact)
    for name, value in found(model).items():
        assert_right(value, right[name])
    assert right["product"].abs() > 1e-3
    assert_right(predict(model, tokens, "fp32").losses(), predict(exact, tokens, "fp32").losses().double())
    compiled = decoder(f"attention={attention}")
    total = predict(compiled, tokens, "fp32").losses().sum()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(total, compiled.norm.weight, create_graph=True)


def operators(work: Callable[[], object]) -> set[str]:
    """The compiled operators that run."""
    with torch.profiler.profile() as seen:
        work()
    return {event.key for event in seen.key_averages() if event.key.startswith("mta_lab::")}


def test_the_switch_counts_for_every_part_and_can_be_turned_back() -> None:
    model, tokens = decoder("attention=multi_token"), torch.zeros(1, 6, dtype=torch.int64)
    x, y = torch.randn(1, 5, 16), torch.randn(1, 2, 5, 8)
    parts = {
        "attend": lambda: model.blocks[2].attention(x),
        "rms_norm": lambda: model.norm(x),
        "rms_norm of heads": lambda: model.blocks[2].attention.norm(y),
        "swiglu": lambda: model.blocks[0].feed_forward(x),
        "cross_entropy": lambda: predict(model, tokens, "fp32").losses(),
        "cross_entropy of answers": lambda: predict(model, (tokens, torch.ones(1, 5).bool()), "fp32").losses(),
        "rotate": lambda: model(tokens),
    }
    for on in (True, False, True):
        set_compiled(model, on)
        for name, work in parts.items():
            ran = operators(work)
            assert (f"mta_lab::{name.partition(' ')[0]}" in ran) if on else not ran, name


def test_one_module_can_be_switched_alone() -> None:
    for part, x in ((RMSNorm(8), torch.randn(3, 8)), (SwiGLU(8, 24), torch.randn(3, 8))):
        assert operators(lambda part=part, x=x: part(x))
        part.compiled = False
        assert not operators(lambda part=part, x=x: part(x))
    gate = Gate().build(width=8, model_width=32, layer=1)
    gate.compiled = False
    assert not operators(lambda: gate(torch.randn(1, 2, 3, 8)))


@pytest.mark.parametrize("impl", ["fused", "sdpa"])
def test_an_implementation_that_is_compiled_is_refused_with_the_switch_off(impl: str) -> None:
    with pytest.raises(UserError) as refused:
        config(f"attention.impl={impl}", "training.compiled=false")
    assert f"training: compiled: got false, but attention.impl is '{impl}'" in str(refused.value)
    assert "\n" not in str(refused.value)
    layer = set_compiled(Softmax(impl=impl).build(width=8, heads=2, layer=1, layers=1), False)  # type: ignore[arg-type]
    with pytest.raises(ComponentError, match=rf"'{impl}', but compiled operators are off .*can run: auto, streaming"):
        layer(torch.randn(1, 4, 8))


def test_what_is_changed_after_a_forward_counts() -> None:
    layer = MultiToken(pre_softmax=(HeadMixing(),), post_softmax=(), norm=NoNorm()).build(
        width=8, heads=2, layer=1, layers=1
    )
    assert isinstance(layer, CoreAttention)
    x = torch.randn(1, 4, 8)
    ran = []
    for impl in ("auto", "eager", "streaming", "auto"):
        layer.impl = impl  # type: ignore[assignment]
        layer(x)
        ran.append(layer.ran.name if layer.ran else "")
    layer.compiled = False
    layer(x)
    assert layer.ran is not None
    assert [*ran, layer.ran.name] == ["fused", "eager", "streaming", "fused", "streaming"]
    assert layer.ran.reason == "compiled operators are off (compiled: false)"
