"""The contracts that every registered component keeps, shipped or yours.

The tests enumerate the registry, so a new variant is tested for free. To test component files of your own:

    MTA_LAB_COMPONENTS=mine.py:other.py pytest tests/components/test_conformance.py

A class attribute `exempt = {"causal": "reason"}` skips `test_causal` for that variant. Each test is a function of a
`Subject`, or of a config class, and can be called from elsewhere too.

Shapes: B batch, M heads, T tokens, D model width, Q query position, K key position.
"""

import ast
import dataclasses
import inspect
import textwrap

import pytest
import torch
from torch import Tensor

from components import FAMILIES, Component, ComponentError, set_compiled
from components.attention import CoreAttention, Softmax, rotary_table
from components.kernels import streaming
from components.kernels.choice import IMPLEMENTATIONS
from components.score_ops import ScoreOp
from tests.components import implementations
from tests.components.subjects import HEADS, SUBJECTS, VARIANTS, WIDTH, Subject

BATCH, TOKENS = 2, 9

every_subject = pytest.mark.parametrize("subject", SUBJECTS, ids=str)
every_op = pytest.mark.parametrize("subject", [s for s in SUBJECTS if s.variant.family == "score_ops"], ids=str)
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda cls: f"{cls.family}-{cls.name}")


@pytest.fixture(autouse=True)
def honour_exemptions(request: pytest.FixtureRequest) -> None:
    """Skip a test that its variant declares exempt, with the variant's reason."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    variant = parameters["subject"].variant if "subject" in parameters else parameters.get("variant")
    reason = exemptions(variant).get(request.function.__name__.removeprefix("test_"))
    if reason:
        pytest.skip(reason)


def exemptions(variant: type[Component] | None) -> dict[str, str]:
    """The variant's `exempt`, empty where it declares none."""
    exempt: dict[str, str] = getattr(variant, "exempt", {})
    return exempt


def tokens(dtype: torch.dtype = torch.float32) -> Tensor:
    """Random input [B, T, D], the same at each call."""
    return torch.randn(BATCH, TOKENS, WIDTH, generator=torch.Generator().manual_seed(2)).to(dtype)


def state(subject: Subject, seed: int) -> dict[str, Tensor]:
    """All parameters and buffers right after initialisation."""
    return dict(subject.build(seed=seed).state_dict())


@every_subject
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_shape(subject: Subject, dtype: torch.dtype) -> None:
    """The output has the input's shape and dtype and is finite, with and without rotary embedding."""
    x_BTD = tokens(dtype)
    for rotary in (None, rotary_table(TOKENS, WIDTH // HEADS, theta=100_000.0)):
        y_BTD = subject.build().to(dtype)(x_BTD, rotary)
        assert (y_BTD.shape, y_BTD.dtype) == (x_BTD.shape, dtype)
        assert y_BTD.isfinite().all()


@every_subject
def test_gradients(subject: Subject) -> None:
    """Gradients are finite at the start; away from the initial values, every parameter has some."""
    for module, at_start in ((subject.build(), True), (subject.build_random(), False)):
        module(tokens()).square().sum().backward()
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, f"{name} is not part of the computation"
            assert parameter.grad.isfinite().all(), name
            assert at_start or parameter.grad.any(), f"{name} receives no gradient"


@every_subject
def test_causal(subject: Subject) -> None:
    """Changing the tokens from t on changes no bit of the outputs before t, and changes the output at t."""
    module, x_BTD = subject.build_random(), tokens()
    with torch.no_grad():
        before_BTD = module(x_BTD)
        for t in range(1, TOKENS):
            changed_BTD = x_BTD.clone()
            changed_BTD[:, t:] = 50.0 * changed_BTD[:, t:].flip(-1)
            after_BTD = module(changed_BTD)
            assert torch.equal(after_BTD[:, :t], before_BTD[:, :t]), f"an output before {t} reads a token from {t} on"
            assert not torch.equal(after_BTD[:, t], before_BTD[:, t])


@every_subject
def test_batch(subject: Subject) -> None:
    """Sequences of one batch do not see each other."""
    module, x_BTD = subject.build_random().double(), tokens(torch.float64)
    alone_BTD = torch.cat([module(x_BTD[row : row + 1]) for row in range(BATCH)])
    torch.testing.assert_close(module(x_BTD), alone_BTD, rtol=0, atol=1e-12)


@every_subject
def test_dropout(subject: Subject) -> None:
    """Dropout acts while training and not in evaluation."""
    dropping = dataclasses.replace(subject, attention=dataclasses.replace(subject.attention, dropout=0.5)).build()
    x_BTD, plain_BTD = tokens(), subject.build().eval()(tokens())
    torch.testing.assert_close(dropping.eval()(x_BTD), plain_BTD)
    assert not torch.allclose(dropping.train()(x_BTD), plain_BTD)


@pytest.mark.parametrize("subject", [subject for subject in SUBJECTS if subject.variant.family != "norms"], ids=str)
def test_identity(subject: Subject) -> None:
    """`identity()`, freshly initialised, is plain softmax attention with the same projections."""
    alike = dataclasses.replace(subject, attention=subject.attention.identity()).build().double()
    softmax = Subject(Softmax, "", Softmax()).build().double()
    x_BTD = tokens(torch.float64)
    torch.testing.assert_close(alike(x_BTD), softmax(x_BTD), rtol=0, atol=1e-12)


@every_subject
def test_shared_start(subject: Subject) -> None:
    """Parameters shared with `softmax`, by name and shape, start equal under the same seed."""
    mine, softmax = state(subject, 5), state(Subject(Softmax, "", Softmax()), 5)
    shared = [name for name in softmax if name in mine and mine[name].shape == softmax[name].shape]
    assert shared, "no parameter in common with softmax: seeds are not paired"
    assert all(torch.equal(mine[name], softmax[name]) for name in shared)


@every_subject
def test_seed(subject: Subject) -> None:
    """A seed decides every bit of the start, whatever torch's global stream holds; another seed moves it."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = state(subject, 5)
        torch.manual_seed(2)
        again, other = state(subject, 5), state(subject, 6)
    moved = [name for name in first if not torch.equal(first[name], again[name])]
    assert not moved, f"{moved} not drawn by initialise(): give the module an `initialise(draw)` method"
    assert any(not torch.equal(first[name], other[name]) for name in first)


@every_subject
@pytest.mark.parametrize("impl", ["auto", *(name for name in IMPLEMENTATIONS if name != "eager")])
def test_implementations(subject: Subject, impl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every implementation that can compute the variant equals eager by torch's own operations, gradients too."""
    monkeypatch.setattr(streaming, "BLOCK", 4)  # three blocks
    implementations.require(impl)
    layer = subject.build_random()
    cores = [part for part in layer.modules() if isinstance(part, CoreAttention)]

    def computed(impl: str) -> dict[str, Tensor]:
        for core in cores:
            core.impl = impl  # type: ignore[assignment]
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


def operation(subject: Subject) -> ScoreOp:
    """The operation that the subject's layer shows alone."""
    module = subject.build_random()
    (op,) = (part for part in module.modules() if isinstance(part, ScoreOp))
    return op


def a_map() -> tuple[Tensor, Tensor]:
    """A random map [B, M, Q, K], invisible places too, and the causal mask [Q, K]."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(BATCH, HEADS, TOKENS, TOKENS, generator=generator), torch.ones(TOKENS, TOKENS).tril().bool()


@every_op
def test_earlier_queries(subject: Subject) -> None:
    """Changing a row changes no bit of the rows before it, nor of those more than `earlier_queries` after it."""
    op, (scores_BMQK, visible_QK) = operation(subject), a_map()
    if op.earlier_queries is None:
        pytest.skip("it declares no earlier_queries: it is computed on whole maps")
    with torch.no_grad():
        before_BMQK = op(scores_BMQK, visible_QK)
        for row in range(TOKENS):
            changed_BMQK = scores_BMQK.clone()
            changed_BMQK[:, :, row] += 50.0
            same_QK = (op(changed_BMQK, visible_QK) == before_BMQK).all(0).all(0) | ~visible_QK
            assert same_QK[:row].all(), f"a row before {row} reads it"
            assert same_QK[row + op.earlier_queries + 1 :].all(), f"more than {op.earlier_queries} rows after read it"


@every_op
def test_block_of_rows(subject: Subject) -> None:
    """On a block of rows, those below the first `earlier_queries` come out as on the whole map."""
    op, (scores_BMQK, visible_QK) = operation(subject), a_map()
    if op.earlier_queries is None:
        pytest.skip("it declares no earlier_queries: it is computed on whole maps")
    with torch.no_grad():
        whole_BMQK = op(scores_BMQK, visible_QK)
        for start, stop in ((0, 1), (0, 6), (2, 7), (4, 9)):
            first = max(0, start - op.earlier_queries)
            seen_QK = visible_QK[first:stop, :stop]
            block_BMQK = op(scores_BMQK[:, :, first:stop, :stop], seen_QK).masked_fill(~seen_QK, 0.0)
            expected_BMQK = whole_BMQK[:, :, start:stop, :stop].masked_fill(~visible_QK[start:stop, :stop], 0.0)
            torch.testing.assert_close(block_BMQK[:, :, start - first :], expected_BMQK)


@every_op
def test_places_read(subject: Subject) -> None:
    """A place that a row reads is one it says it reads: `pointwise`, `reads_invisible` or else visible ones alone."""
    op, (scores_BMQK, visible_QK) = operation(subject), a_map()
    with torch.no_grad():
        before_BMQK = op(scores_BMQK, visible_QK)
        for query in range(TOKENS):
            for key in range(TOKENS):
                changed_BMQK = scores_BMQK.clone()
                changed_BMQK[:, :, query, key] += 50.0
                changed_QK = (op(changed_BMQK, visible_QK) != before_BMQK).any(0).any(0)
                if op.pointwise:
                    changed_QK[query, key] = False
                    assert not changed_QK.any(), f"pointwise, but another place reads {query, key}"
                readers = (changed_QK & visible_QK).any(1).nonzero().flatten().tolist()
                if key > query and not op.reads_invisible:
                    assert not readers, f"rows {readers} read the invisible place {query, key}"
                assert all(row >= key for row in readers), f"rows {readers} read key {key}, which is after them"


@every_variant
def test_config_is_frozen_and_keyword_only(variant: type[Component]) -> None:
    config = variant()
    assert config == variant()
    assert hash(config) == hash(variant())
    assert all(field.kw_only for field in dataclasses.fields(variant))
    with pytest.raises(TypeError, match="positional"):
        variant(0)  # type: ignore[call-arg]
    for name in ("anything", *(field.name for field in dataclasses.fields(variant))):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, name, None)


@every_variant
def test_config_is_documented(variant: type[Component]) -> None:
    """The variant has a docstring, and each of its fields, inherited ones too, a line beneath."""
    assert (vars(variant).get("__doc__") or "").strip(), "say in a docstring what the variant is"
    bare = [f"{cls.__name__}.{name}" for cls in variant.__mro__[:-1] for name in undocumented_fields(cls)]
    assert not bare, f"{bare}: write a line under each field saying what it is"


def undocumented_fields(cls: type) -> list[str]:
    """The dataclass fields in the body of `cls` that no string literal follows."""
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


@every_variant
def test_exemptions(variant: type[Component]) -> None:
    """An exemption names a test that is there, and gives a reason."""
    tests = {
        name.removeprefix("test_") for name, value in globals().items() if name.startswith("test_") and callable(value)
    }
    for name, reason in exemptions(variant).items():
        assert name in tests, f"exempt names no test '{name}'; known: {', '.join(sorted(tests))}"
        assert reason.strip(), f"exempt['{name}'] needs a reason"


def test_every_family_is_placed() -> None:
    """A new family must say where in an attention layer its variants stand, or that they stand in none."""
    placed = {subject.variant.family for subject in SUBJECTS}
    assert placed == set(FAMILIES) - {"tasks", "evaluations"}  # which have contracts of their own, beside this
