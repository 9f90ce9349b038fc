"""Every parameter starts by a rule or its module's `initialise`, whatever was drawn before."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from components import ComponentError
from components.initialise import Draw, initialise

CUT = 0.98658
"""of a normal distribution's std that is left inside 3 std"""


class Own(nn.Module):
    """A module of a user's: `fill` is its `initialise`."""

    def __init__(self, fill: Callable[[Any, Draw], Any] | None = None, **parts: nn.Module | Tensor) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, Tensor) else part)
        if fill is not None:
            self.initialise = lambda draw: fill(self, draw)


class OwnLinear(nn.Linear):
    """A linear layer with a parameter that the rule for linear layers does not know."""

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.scale = nn.Parameter(torch.ones(3))


def started(build: Callable[[], nn.Module], seed: int = 0) -> dict[str, Tensor]:
    """Return a module's content after `initialise`: equal to the bit, whatever was drawn before."""
    states = []
    with torch.random.fork_rng():
        for drawn_before in (1, 2):
            torch.manual_seed(drawn_before)
            module = build()
            initialise(module, seed)
            states.append(module.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    return states[0]


@pytest.mark.parametrize(
    ("inputs", "build"),
    [
        (100, lambda: nn.Linear(100, 400)),
        (100, lambda: nn.Embedding(400, 100)),
        (100, lambda: nn.Conv1d(20, 400, 5)),
        (72, lambda: nn.Conv2d(12, 500, (2, 3))),
        (64, lambda: nn.Conv3d(8, 600, 2)),
        (15, lambda: nn.Conv1d(40, 2000, 3, groups=8)),
    ],
    ids=["linear", "embedding", "conv1d", "conv2d", "conv3d", "conv1d in groups"],
)
def test_weights_start_by_how_many_inputs_an_output_has(inputs: int, build: Callable[[], nn.Module]) -> None:
    state, std = started(build), inputs**-0.5
    weight = state["weight"]
    assert weight.std().item() == pytest.approx(CUT * std, rel=0.03)  # 30,000 values or more: 7 standard errors
    assert weight.mean().item() == pytest.approx(0.0, abs=0.03 * std)
    assert 2.9 * std < weight.abs().max() <= 3 * std
    assert not state.get("bias", torch.zeros(1)).any()


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.RMSNorm(4),
        lambda: nn.LayerNorm(4),
        lambda: nn.LayerNorm((2, 4), bias=False),
        lambda: nn.GroupNorm(2, 4),
        lambda: nn.BatchNorm1d(4),
        lambda: nn.BatchNorm3d(4),
        lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        lambda: nn.LayerNorm(4, elementwise_affine=False),
    ],
    ids=["rms", "layer", "layer of two", "group", "batch", "batch 3d", "instance", "no weight"],
)
def test_norms_start_as_if_they_had_seen_nothing(build: Callable[[], nn.Module]) -> None:
    def trained() -> nn.Module:
        module = build()
        with torch.no_grad():
            for value in module.state_dict().values():
                value.copy_(torch.randn(value.shape) * 9)
        return module

    starts = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0, "num_batches_tracked": 0}
    for name, value in started(trained).items():
        assert torch.equal(value, torch.full_like(value, starts[name])), name


def test_the_row_of_padding_is_zero() -> None:
    weight = started(lambda: nn.Embedding(9, 4, padding_idx=7))["weight"]
    assert [row for row in range(9) if not weight[row].any()] == [7]


def ones(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.ones_(parameter)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Own(lambda own, draw: ones(own.inner), inner=nn.Linear(3, 3)),
        lambda: Own(lambda own, draw: ones(own.inner), inner=nn.Embedding(3, 3)),
        lambda: Own(lambda own, draw: ones(own.inner), inner=nn.Conv1d(3, 3, 3)),
        lambda: Own(lambda own, draw: ones(own.inner), inner=nn.LayerNorm(3)),
        lambda: Own(lambda own, draw: ones(own.inner), inner=nn.GRU(3, 3)),
        lambda: Own(lambda own, draw: ones(own.inner), inner=Own(lambda own, draw: own.w.zero_(), w=torch.randn(3))),
        lambda: Own(lambda own, draw: ones(own), inner=nn.Sequential(nn.Linear(3, 3), Own(w=torch.randn(3)))),
    ],
    ids=["linear", "embedding", "convolution", "norm", "gru", "a child with an `initialise`", "two levels up"],
)
def test_what_a_module_says_of_its_children_stays(build: Callable[[], nn.Module]) -> None:
    state = started(lambda: nn.Sequential(nn.Linear(2, 2), build()))
    inner = [value for name, value in state.items() if name.startswith("1.")]
    assert inner
    assert all((value == 1.0).all() for value in inner)


def test_a_module_finds_its_children_filled() -> None:
    def halve(own: Any, draw: Draw) -> None:
        own.inner.weight.mul_(0.5)

    plain = started(lambda: Own(inner=nn.Linear(3, 3)))["inner.weight"]
    assert torch.equal(started(lambda: Own(halve, inner=nn.Linear(3, 3)))["inner.weight"], 0.5 * plain)


@pytest.mark.parametrize(
    ("name", "kind", "build"),
    [
        ("scale", "Own", lambda: Own(scale=torch.randn(3))),
        ("scale", "Own", lambda: Own(scale=torch.ones(3))),
        ("phase", "Own", lambda: Own(phase=torch.randn(3, dtype=torch.complex64))),
        ("scale", "OwnLinear", OwnLinear),
        ("weight", "ConvTranspose1d", lambda: nn.ConvTranspose1d(2, 3, 3)),
        ("weight", "Bilinear", lambda: nn.Bilinear(2, 3, 4)),
        ("weight", "PReLU", nn.PReLU),
        ("in_proj_weight", "MultiheadAttention", lambda: nn.MultiheadAttention(4, 2)),
        ("weight_ih_l0", "GRU", lambda: nn.GRU(2, 3)),
        ("parametrizations.weight.original0", "ParametrizationList",
         lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))),
        ("matrix", "Own", lambda: Own(lambda own, draw: own.matrix[0].zero_(), matrix=torch.randn(2, 3))),
        ("other", "Own", lambda: Own(lambda own, draw: own.one.zero_(), one=torch.randn(3), other=torch.randn(3))),
        ("scale", "Own", lambda: Own(lambda own, draw: own.scale.mul_(0.5), scale=torch.randn(3))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_parameter_that_nothing_fills_is_refused(name: str, kind: str, build: Callable[[], nn.Module]) -> None:
    model = nn.ModuleDict({"part": nn.Sequential(nn.Linear(2, 2), build())})
    expected = f"part.1.{name}: no rule says how this parameter of {kind} starts; give {kind}, or a module around it, a"
    with pytest.raises(ComponentError, match=f"^{re.escape(expected)} method initialise\\(draw\\)[^\\n]*$"):
        initialise(model, seed=0)


def test_a_layer_without_a_shape_yet_is_refused() -> None:
    with pytest.raises(ValueError, match="uninitialized parameter"):
        initialise(nn.Sequential(nn.LazyLinear(3)), seed=0)


def test_numbers_that_are_whole_stay_as_they_are() -> None:
    table = nn.Parameter(torch.arange(3), requires_grad=False)
    module = nn.Module()
    module.register_parameter("table", table)
    initialise(module, seed=0)
    assert table.tolist() == [0, 1, 2]


def test_a_model_that_was_trained_is_drawn_anew() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.RMSNorm(4), nn.Conv1d(4, 4, 2))
    initialise(model, seed=3)
    first = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(math.nan)
    initialise(model, seed=3)
    assert all(torch.equal(value, first[name]) for name, value in model.state_dict().items())


def test_a_model_without_memory_has_nothing_to_fill() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.RMSNorm(4)).to("meta")
    initialise(model, seed=0)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
