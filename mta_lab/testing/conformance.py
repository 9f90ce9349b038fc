"""The contracts that every component keeps, shipped or yours.

The tests enumerate the registry, so a new variant is tested for free. To test component files of
your own:

    pytest --mta-component mine.py --mta-component other.py

A class attribute `exempt = {"causal": "reason"}` skips `test_causal` for that variant. Each test is
a function of a `Subject`, of the subject of an operation or of what can be neutral, or of a config
class.

Shapes: B batch, T tokens, D model width.
"""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from components import Component, ComponentError, set_compiled
from components.attention import Core, CoreAttention, Softmax, rotary_table
from components.kernels import streaming
from components.kernels.choice import IMPLEMENTATIONS
from mta_lab.testing import chunks, implementations
from mta_lab.testing.operations import *  # noqa: F403  # tests of an `op_subject`
from mta_lab.testing.subjects import BATCH, HEADS, TOKENS, WIDTH, Subject, under_test

CHUNKED = 16  # tokens, more than the largest kernels reach


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over everything under test that its arguments name."""
    variants, subjects = under_test()
    cases: dict[str, Sequence[Any]] = {
        "subject": subjects,
        "op_subject": [subject for subject in subjects if subject.variant.family == "score_ops"],
        "neutral_subject": [subject for subject in subjects if subject.variant.family != "norms"],
        "variant": variants,
    }
    for name in cases.keys() & set(metafunc.fixturenames):
        metafunc.parametrize(name, cases[name], ids=str if name != "variant" else _named)


def _named(variant: type[Component]) -> str:
    return f"{variant.family}-{variant.name}"


@pytest.fixture(autouse=True)
def honour_exemptions(request: pytest.FixtureRequest) -> None:
    """Skip a test that its variant declares exempt, with the variant's reason."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    subjects = [value for value in parameters.values() if isinstance(value, Subject)]
    variant = subjects[0].variant if subjects else parameters.get("variant")
    reason = exemptions(variant).get(request.function.__name__.removeprefix("test_"))
    if reason:
        pytest.skip(reason)


def exemptions(variant: type[Component] | None) -> dict[str, str]:
    """Return the variant's `exempt`, empty where it declares none."""
    exempt: dict[str, str] = getattr(variant, "exempt", {})
    return exempt


def tokens(dtype: torch.dtype = torch.float32) -> Tensor:
    """Random input [B, T, D], the same at each call."""
    return torch.randn(BATCH, TOKENS, WIDTH, generator=torch.Generator().manual_seed(2)).to(dtype)


def state(subject: Subject, seed: int) -> dict[str, Tensor]:
    """All parameters and buffers right after initialisation."""
    return dict(subject.build(seed=seed).state_dict())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_shape(subject: Subject, dtype: torch.dtype) -> None:
    """The output is finite, of the input's shape and dtype, with and without rotary embedding."""
    x_BTD = tokens(dtype)
    for rotary in (None, rotary_table(TOKENS, WIDTH // HEADS, theta=100_000.0)):
        y_BTD = subject.build().to(dtype)(x_BTD, rotary)
        assert (y_BTD.shape, y_BTD.dtype) == (x_BTD.shape, dtype)
        assert y_BTD.isfinite().all()


def test_gradients(subject: Subject) -> None:
    """Gradients are finite at the start; away from the initial values, every parameter has some."""
    for module, at_start in ((subject.build(), True), (subject.build_random(), False)):
        module(tokens()).square().sum().backward()
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, f"{name} is not part of the computation"
            assert parameter.grad.isfinite().all(), name
            assert at_start or parameter.grad.any(), f"{name} receives no gradient"


def test_causal(subject: Subject) -> None:
    """Changing the tokens from t on changes the output at t, and no bit before it."""
    module, x_BTD = subject.build_random(), tokens()
    with torch.no_grad():
        before_BTD = module(x_BTD)
        for t in range(1, TOKENS):
            changed_BTD = x_BTD.clone()
            changed_BTD[:, t:] = 50.0 * changed_BTD[:, t:].flip(-1)
            after_BTD = module(changed_BTD)
            assert torch.equal(after_BTD[:, :t], before_BTD[:, :t]), f"an output before {t} reads a token from {t} on"
            assert not torch.equal(after_BTD[:, t], before_BTD[:, t])


def test_batch(subject: Subject) -> None:
    """Sequences of one batch do not see each other."""
    module, x_BTD = subject.build_random().double(), tokens(torch.float64)
    alone_BTD = torch.cat([module(x_BTD[row : row + 1]) for row in range(BATCH)])
    torch.testing.assert_close(module(x_BTD), alone_BTD, rtol=0, atol=1e-12)


def test_dropout(subject: Subject) -> None:
    """Dropout acts while training and not in evaluation."""
    dropping = dataclasses.replace(subject, attention=dataclasses.replace(subject.attention, dropout=0.5)).build()
    x_BTD, plain_BTD = tokens(), subject.build().eval()(tokens())
    torch.testing.assert_close(dropping.eval()(x_BTD), plain_BTD)
    assert not torch.allclose(dropping.train()(x_BTD), plain_BTD)


def test_identity(neutral_subject: Subject) -> None:
    """`identity()`, freshly initialised, is plain softmax attention with the same projections."""
    alike = dataclasses.replace(neutral_subject, attention=neutral_subject.attention.identity()).build().double()
    softmax = Subject(Softmax, "", Softmax()).build().double()
    x_BTD = tokens(torch.float64)
    torch.testing.assert_close(alike(x_BTD), softmax(x_BTD), rtol=0, atol=1e-12)


def test_shared_start(subject: Subject) -> None:
    """Parameters shared with `softmax`, by name and shape, start equal under the same seed."""
    mine, softmax = state(subject, 5), state(Subject(Softmax, "", Softmax()), 5)
    shared = [name for name in softmax if name in mine and mine[name].shape == softmax[name].shape]
    assert shared, "no parameter in common with softmax: seeds are not paired"
    assert all(torch.equal(mine[name], softmax[name]) for name in shared)


def test_seed(subject: Subject) -> None:
    """A seed decides every bit of the start, whatever torch drew before; another one moves it."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = state(subject, 5)
        torch.manual_seed(2)
        again, other = state(subject, 5), state(subject, 6)
    moved = [name for name in first if not torch.equal(first[name], again[name])]
    assert not moved, f"{moved} not drawn by initialise(): give the module an `initialise(draw)` method"
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("impl", ["auto", *(name for name in IMPLEMENTATIONS if name != "eager")])
def test_implementations(subject: Subject, impl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every implementation that can compute the variant equals eager, gradients too.

    Eager computes by torch's own operations.
    """
    monkeypatch.setattr(streaming, "BLOCK", 4)  # three blocks
    implementations.require(impl)
    layer = subject.build_random()
    cores = [part for part in layer.modules() if isinstance(part, CoreAttention)]

    def computed(impl: str) -> dict[str, Tensor]:
        for core in cores:
            core.impl = impl
        x_BTD, rotary = tokens().requires_grad_(), rotary_table(TOKENS, WIDTH // HEADS, theta=100.0)
        y_BTD = layer(x_BTD, rotary)
        leaves = {"x": x_BTD, **dict(layer.named_parameters())}
        return {
            "y": y_BTD.detach(),
            **dict(zip(leaves, torch.autograd.grad(y_BTD.square().sum(), [*leaves.values()]), strict=True)),
        }

    set_compiled(layer, False)
    expected = computed("eager")
    set_compiled(layer, True)
    try:
        found = computed(impl)
    except ComponentError as error:
        pytest.skip(str(error))
    for name, value in expected.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(found[name], value, rtol=0, atol=3e-5 * scale)


@pytest.mark.parametrize("split", chunks.splits(CHUNKED))
def test_chunks(subject: Subject, split: str) -> None:
    """Chunks read with a cache give the output of the whole, also in a batch with padding."""
    layer = subject.build_random().double().eval()
    if not isinstance(layer, Core) or layer.uncached():
        pytest.skip("it does not say what it reads of earlier tokens: these are computed anew")
    x_BTD = torch.randn(3, CHUNKED, WIDTH, generator=torch.Generator().manual_seed(2)).double()
    rotary, sizes = rotary_table(CHUNKED, WIDTH // HEADS, theta=100.0).double(), chunks.splits(CHUNKED)[split]
    whole_BTD = layer(x_BTD, rotary).detach()
    torch.testing.assert_close(chunks.in_chunks(layer, x_BTD, rotary, sizes), whole_BTD, rtol=0, atol=1e-12)
    padding = (0, 5, CHUNKED - 1)
    padded_BTD = chunks.without_padding(chunks.in_chunks(layer, x_BTD, rotary, sizes, padding), padding)
    expected_BTD = chunks.each_alone(layer, x_BTD, rotary, padding)
    torch.testing.assert_close(padded_BTD, expected_BTD, rtol=0, atol=1e-12)


def test_config_is_frozen_and_keyword_only(variant: type[Component]) -> None:
    config = variant()
    assert config == variant()
    assert hash(config) == hash(variant())
    assert all(field.kw_only for field in dataclasses.fields(variant))
    with pytest.raises(TypeError, match="positional"):
        variant(0)
    for name in ("anything", *(field.name for field in dataclasses.fields(variant))):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, name, None)


def test_config_is_documented(variant: type[Component]) -> None:
    """The variant has a docstring, and each of its fields, inherited ones too, a line beneath."""
    assert (vars(variant).get("__doc__") or "").strip(), "say in a docstring what the variant is"
    bare = [f"{cls.__name__}.{name}" for cls in variant.__mro__[:-1] for name in undocumented_fields(cls)]
    assert not bare, f"{bare}: write a line under each field saying what it is"


def undocumented_fields(cls: type) -> list[str]:
    """Return the dataclass fields in the body of `cls` that no string literal follows."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    (definition,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    names = {field.name for field in dataclasses.fields(cls)}
    return [
        node.target.id
        for node, below in zip(definition.body, [*definition.body[1:], ast.Pass()], strict=True)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in names
        if not (
            isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and str(below.value.value).strip()
        )
    ]


def test_exemptions(variant: type[Component]) -> None:
    """An exemption names a test that is there, and gives a reason."""
    tests = {
        name.removeprefix("test_") for name, value in globals().items() if name.startswith("test_") and callable(value)
    }
    for name, reason in exemptions(variant).items():
        assert name in tests, f"exempt names no test '{name}'; known: {', '.join(sorted(tests))}"
        assert reason.strip(), f"exempt['{name}'] needs a reason"
