"""Layers and decoders under torch.compile and torch.export, copied, pickled, in other processes.

Shapes: B batch, T tokens, D model width.
"""

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from components import ComponentError
from components.attention import Differential, MultiToken, rotary_table
from components.kernels import streaming
from mta_lab.model import build_model
from mta_lab.testing import implementations
from mta_lab.testing.subjects import HEADS, SUBJECTS, WIDTH, Subject
from mta_lab.training.loss import mean_loss
from tests.config.helpers import config

TOKENS = 6
CODE = [subject for subject in SUBJECTS if subject.variant.family != "kernel_init"]  # initial values are no code
EVERYWHERE = [
    pytest.param(subject, where, marks=() if where == "cpu" and subject in CODE[:16] else pytest.mark.slow)
    for subject in SUBJECTS
    for where in ("cpu", "meta")
]
ATTENTIONS = ("softmax", "multi_token", "talking_heads", "differential")
TRACED = [pytest.param(name, marks=() if name == "multi_token" else pytest.mark.slow) for name in ATTENTIONS]
"""whole decoders, which take long to trace: every day the
one with all operations; each layer is traced alone above"""
SMALL = ("model.width=16", "model.heads=2", "model.layers=3", "model.vocabulary=300", "model.feed_forward_multiple=8")


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """Compiled code of one test is not another's."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def computed(call: Callable[..., Tensor], layer: nn.Module, *inputs: Any) -> list[Tensor]:
    """The output and all gradients."""
    y = call(*inputs)
    leaves = [x for x in (*inputs, *layer.parameters()) if isinstance(x, Tensor) and x.requires_grad]
    return [y.detach(), *torch.autograd.grad(y.square().sum(), leaves)]


def assert_alike(found: list[Tensor], expected: list[Tensor]) -> None:
    for value, right in zip(found, expected, strict=True):
        assert (value.shape, value.dtype, value.device) == (right.shape, right.dtype, right.device)
        if right.device.type != "meta":
            torch.testing.assert_close(value, right, rtol=1e-4, atol=1e-5 * max(1.0, right.abs().max().item()))


def inputs(where: str = "cpu") -> tuple[Tensor, Tensor]:
    x_BTD = torch.randn(2, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1)).to(where).requires_grad_()
    return x_BTD, rotary_table(TOKENS, WIDTH // HEADS, theta=100.0).to(where)


@pytest.mark.parametrize(("subject", "where"), EVERYWHERE)
def test_a_layer_compiles_without_a_break(subject: Subject, where: str) -> None:
    layer = subject.build_random().to(where)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert_alike(computed(compiled, layer, *inputs(where)), computed(layer, layer, *inputs(where)))


@pytest.mark.parametrize("variant", [MultiToken(impl="streaming"), Differential(impl="streaming")])
def test_blocks_of_streaming_compile(variant: MultiToken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "BLOCK", 3)
    layer = variant.build(width=WIDTH, heads=HEADS, layer=3, layers=4)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert_alike(computed(compiled, layer, *inputs()), computed(layer, layer, *inputs()))


def decoder(attention: str) -> Any:
    return build_model(config(*SMALL, f"attention={attention}"), seed=0)


def tokens(count: int = 9) -> Tensor:
    return torch.randint(300, (2, count), generator=torch.Generator().manual_seed(3))


def gradients(loss: Tensor, model: nn.Module) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]


@pytest.mark.parametrize("attention", TRACED)
def test_a_decoder_and_its_loss_compile_without_a_break(attention: str) -> None:
    model = decoder(attention)

    def loss(given: Tensor) -> Tensor:
        return mean_loss(model, given, "fp32")

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    assert_alike(gradients(compiled(tokens()), model), gradients(loss(tokens()), model))
    on_meta = decoder(attention).to("meta")
    assert torch.compile(on_meta, fullgraph=True, backend="aot_eager")(tokens().to("meta")).shape == (2, 9, 300)


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["softmax", "multi_token"])
def test_a_decoder_compiles_with_inductor(attention: str) -> None:
    model = decoder(attention)
    compiled = torch.compile(lambda given: mean_loss(model, given, "fp32"), fullgraph=True)
    expected = gradients(mean_loss(model, tokens(), "fp32"), model)
    assert_alike(gradients(compiled(tokens()), model), expected)


LOAD = (
    "import sys, torch; print(torch.export.load(sys.argv[1]).module()(torch.load(sys.argv[2])).double().sum().item())"
)


@pytest.mark.parametrize("attention", TRACED)
def test_an_exported_decoder_runs_without_this_package(attention: str, tmp_path: Path) -> None:
    """Of any number of tokens up to the context; the other process imports torch alone."""
    model, length = decoder(attention), torch.export.Dim("length", min=2, max=32)
    model(tokens())
    program = torch.export.export(model, (tokens(),), dynamic_shapes=({1: length},))
    assert not [node for node in program.graph.nodes if "mta_lab" in str(node.target)]
    for count in (9, 20):
        assert_alike([program.module()(tokens(count)).detach()], [model(tokens(count)).detach()])
    if attention == "multi_token":
        torch.export.save(program, tmp_path / "model.pt2")
        torch.save(tokens(), tmp_path / "tokens.pt")
        arguments = [sys.executable, "-c", LOAD, tmp_path / "model.pt2", tmp_path / "tokens.pt"]
        done = subprocess.run(arguments, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
        assert float(done.stdout) == pytest.approx(model(tokens()).double().sum().item(), rel=1e-4)


@pytest.mark.parametrize("subject", [s for s in SUBJECTS if s.variant.family == "attention"], ids=str)
def test_a_layer_can_be_exported(subject: Subject) -> None:
    layer = subject.build_random()
    for strict in (False, True):
        program = torch.export.export(layer, inputs(), strict=strict)
        assert_alike([program.module()(*inputs()).detach()], [layer(*inputs()).detach()])


def test_a_compiled_implementation_that_is_set_is_no_part_of_an_exported_program() -> None:
    implementations.require("fused")
    layer = MultiToken(impl="fused").build(width=WIDTH, heads=HEADS, layer=3, layers=4)
    with pytest.raises(ComponentError, match=r"'fused', but torch\.export writes programs"):
        torch.export.export(layer, inputs())


def through_a_file(model: Any) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_model_that_has_run_can_be_copied_and_written(attention: str) -> None:
    model = decoder(attention)
    expected = gradients(model(tokens()).square().sum(), model)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), through_a_file(model)):
        assert other.norm.weight is not model.norm.weight
        for value, right in zip(gradients(other(tokens()).square().sum(), other), expected, strict=True):
            assert torch.equal(value, right)


def in_another_process(model: Any, given: Tensor, answers: Any) -> None:
    answers.put(model(given).double().sum().item())


def test_a_model_that_has_run_can_be_sent_to_a_spawned_process() -> None:
    model = decoder("multi_token")
    expected = model(tokens()).double().sum().item()
    context = torch.multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=in_another_process, args=(model, tokens(), answers))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert answers.get() == expected
