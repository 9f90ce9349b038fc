"""Each optimizer's steps are those of its paper's equations, by loops in float64.

Shapes: A rows, B columns.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from components import FAMILIES, ComponentError
from components.optimizers import Adafactor, AdamConstants, AdamW, Lion, Muon, OptimizerConfig, Sgd, Weight, weights_of
from components.score_ops import KeyQuery
from mta_lab.testing.optimizer_conformance import Weights, start

RATE, DECAY, STEPS = 0.05, 0.2, 6
ADAM = AdamConstants(beta1=0.8, beta2=0.9, epsilon=1e-3)
State = dict[str, Any]
Step = Callable[[Tensor, Tensor, State, int], Tensor]
"""the weight, its gradient, what is kept of it and the step from 1 -> the new weight; float64"""


def adamw(weight: Tensor, gradient: Tensor, state: State, t: int) -> Tensor:
    """Algorithm 2 of 1711.05101."""
    state["m"] = 0.8 * state.get("m", 0.0) + 0.2 * gradient
    state["v"] = 0.9 * state.get("v", 0.0) + 0.1 * gradient**2
    mean, square = state["m"] / (1 - 0.8**t), state["v"] / (1 - 0.9**t)
    return weight - RATE * (mean / (square.sqrt() + 1e-3) + DECAY * weight)


def lion(weight: Tensor, gradient: Tensor, state: State, t: int) -> Tensor:
    """Algorithm 2 of 2302.06675."""
    mean = state.get("m", torch.zeros_like(weight))
    state["m"] = 0.99 * mean + 0.01 * gradient
    return weight - RATE * (torch.sign(0.9 * mean + 0.1 * gradient) + DECAY * weight)


def sgd(nesterov: bool) -> Step:
    """Equations 3 and 4 of Sutskever et al. 2013, in the form with the rate outside of the sum."""

    def step(weight: Tensor, gradient: Tensor, state: State, t: int) -> Tensor:
        gradient = gradient + DECAY * weight
        state["sum"] = gradient + 0.9 * state.get("sum", 0.0)
        return weight - RATE * (gradient + 0.9 * state["sum"] if nesterov else state["sum"])

    return step


def root_mean_square(tensor: Tensor) -> float:
    return float(tensor.square().mean()) ** 0.5


def adafactor(weight: Tensor, gradient: Tensor, state: State, t: int) -> Tensor:
    """Algorithms 4 and 5 of 1804.04235, a decay beside them; beta2 at step t is 1 - t^-0.8."""
    keep, square = 1 - t**-0.8, gradient**2
    if weight.dim() < 2:
        state["v"] = keep * state.get("v", 0.0) + (1 - keep) * square
        estimate = state["v"]
    else:
        state["rows"] = keep * state.get("rows", 0.0) + (1 - keep) * square.mean(-1, keepdim=True)
        state["columns"] = keep * state.get("columns", 0.0) + (1 - keep) * square.mean(-2, keepdim=True)
        estimate = state["rows"] * state["columns"] / state["rows"].mean(-2, keepdim=True)
    update = gradient / estimate.sqrt()
    update = update / max(1.0, root_mean_square(update))
    rate = max(1e-3, root_mean_square(weight)) * min(RATE, t**-0.5)
    return weight * (1 - RATE * DECAY) - rate * update


def muon(adjust: str) -> Step:
    """The post of Jordan et al. 2024, for a matrix; `adjust` of 2502.16982, section 2.2."""

    def step(weight_AB: Tensor, gradient_AB: Tensor, state: State, t: int) -> Tensor:
        if weight_AB.dim() != 2 or weight_AB.shape == (6, 4):  # the embedding, and what is no matrix
            return adamw(weight_AB, gradient_AB, state, t)
        state["m"] = 0.95 * state.get("m", 0.0) + 0.05 * gradient_AB
        near_AB = 0.05 * gradient_AB + 0.95 * state["m"]
        near_AB = near_AB / near_AB.norm()
        for _ in range(5):
            square_AA = near_AB @ near_AB.T
            near_AB = 3.4445 * near_AB + (-4.7750 * square_AA + 2.0315 * square_AA @ square_AA) @ near_AB
        rows, columns = weight_AB.shape
        factor = 0.2 * max(rows, columns) ** 0.5 if adjust == "match_rms_adamw" else max(1.0, rows / columns) ** 0.5
        return weight_AB * (1 - RATE * DECAY) - RATE * factor * near_AB

    return step


CASES: Mapping[str, tuple[OptimizerConfig, Step, float]] = {
    "adamw": (AdamW(), adamw, 3e-6),
    "lion": (Lion(), lion, 3e-6),
    "sgd": (Sgd(), sgd(nesterov=False), 3e-6),
    "sgd-nesterov": (Sgd(nesterov=True), sgd(nesterov=True), 3e-6),
    "adafactor": (Adafactor(), adafactor, 1e-5),
    "muon": (Muon(), muon("match_rms_adamw"), 2e-2),  # torch iterates in bfloat16
    "muon-original": (Muon(adjust="original"), muon("original"), 2e-2),
}


def gradients(step: int, model: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {name: torch.randn(weight.shape, generator=generator) for name, weight in model.named_parameters()}


def test_every_shipped_optimizer_has_equations() -> None:
    assert {config.name for config, *_ in CASES.values()} == set(FAMILIES["optimizers"].names())


@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_the_equations(case: str) -> None:
    config, equations, tolerance = CASES[case]
    model = start()
    optimizer = config.build(weights_of(model, rate=RATE, decay=DECAY), ADAM)
    expected = {name: weight.detach().double() for name, weight in model.named_parameters()}
    states: dict[str, State] = {name: {} for name in expected}
    for step in range(1, STEPS + 1):
        for name, gradient in gradients(step, model).items():
            model.get_parameter(name).grad = gradient
            expected[name] = equations(expected[name], gradient.double(), states[name], step)
        optimizer.step()
    before = start()
    for name, weight in model.state_dict().items():
        moved = (expected[name] - before.state_dict()[name].double()).abs().max()
        assert (weight.double() - expected[name]).abs().max() < tolerance * moved, name


class Kinds(Weights):
    """The weights of the contract, and those of a convolution on attention maps."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = KeyQuery(kernel=(2, 3)).build(heads=2)
        self.gate = nn.Linear(4, 1)


def test_weights_know_their_kind_in_the_order_of_the_model() -> None:
    found = weights_of(model := Kinds(), rate=1.0, decay=0.5, no_decay=("norms", "kernels"))
    assert [weight.name for weight in found] == [name for name, _ in model.named_parameters()]
    kinds: dict[str, list[Weight]] = {}
    for weight in found:
        kinds.setdefault(weight.kind, []).append(weight)
        assert weight.decay == (0.0 if weight.kind in ("norms", "kernels") else 0.5)
    assert [one.name for one in kinds["matrices"]] == ["linear.weight"]
    assert [one.name for one in kinds["embeddings"]] == ["embedding.weight"]
    assert {one.name for one in kinds["norms"]} == {"linear.bias", "norm.weight", "gate.weight", "gate.bias"}
    assert {one.name.partition(".")[0] for one in kinds["kernels"]} == {"kernel", "convolution"}


def test_muon_hands_what_is_no_matrix_to_the_optimizer_beside_it() -> None:
    model = start()
    optimizer = Muon(rest=Lion()).build(weights_of(model, rate=RATE, decay=0.0), ADAM)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for name, gradient in gradients(1, model).items():
        model.get_parameter(name).grad = gradient
    optimizer.step()
    for name, weight in model.named_parameters():
        signs = torch.allclose((before[name] - weight).abs(), torch.full_like(weight, RATE), atol=1e-6)
        assert signs == (name != "linear.weight"), name


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Lion(beta1=1.0), "beta1: got 1.0, allowed: 0 <= beta1 < 1"),
        (lambda: Sgd(momentum=0.0, nesterov=True), "nesterov: got true with a momentum of 0"),
        (lambda: Adafactor(clip=0.5), "clip: got 0.5, allowed: 1 or more"),
        (lambda: Muon(iterations=0), "iterations: got 0, allowed: 1 to 99"),
        (lambda: Muon(rest=Muon()), "rest: got 'muon', which is for matrices"),
    ],
)
def test_a_setting_that_no_optimizer_has_is_refused(build: Callable[[], OptimizerConfig], said: str) -> None:
    with pytest.raises(ComponentError, match=said):
        build()
