"""The contract that every optimizer keeps, shipped or yours; see `conformance`."""

import io
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from components.initialise import Draw, initialise
from components.optimizers import AdamConstants, OptimizerConfig, weights_of
from mta_lab.testing.subjects import under_test

RATE = 0.01


class Weights(nn.Module):
    """A weight of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 4)
        self.linear = nn.Linear(4, 8, bias=True)
        self.norm = nn.RMSNorm(4)
        self.kernel = nn.Parameter(torch.empty(2, 3, 3))

    def initialise(self, draw: Draw) -> None:
        """Fill the kernel."""
        nn.init.normal_(self.kernel, generator=draw("kernel"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over every optimizer under test, as it is by default."""
    optimizers = [variant() for variant in under_test()[0] if issubclass(variant, OptimizerConfig)]
    if "optimizer" in metafunc.fixturenames:
        metafunc.parametrize("optimizer", optimizers, ids=lambda one: one.name)


def start() -> Weights:
    """Return the weights, the same each time."""
    initialise(model := Weights(), seed=0)
    return model


def trained(config: OptimizerConfig, steps: range, **how: Any) -> dict[str, Tensor]:
    """Return the weights after some steps from the start."""
    return taken(model := start(), built(config, model, **how), steps)


def built(config: OptimizerConfig, model: nn.Module, **how: Any) -> torch.optim.Optimizer:
    """Return the optimizer of the model's weights."""
    return config.build(weights_of(model, **{"rate": RATE, "decay": 0.1, **how}), AdamConstants())


def taken(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range, scale: float = 1.0) -> dict[str, Tensor]:
    """Return the weights after some steps towards others; a step's gradient is random besides."""
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for weight in model.parameters():
            towards = torch.randn(weight.shape, generator=generator)
            weight.grad = scale * (weight.detach() - 3.0 + 0.1 * towards)
        optimizer.step()
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def far(weights: Mapping[str, Tensor]) -> dict[str, float]:
    """Return how far each weight is from where the gradients point."""
    return {name: float((weight - 3.0).square().mean()) for name, weight in weights.items()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Return whether all weights are equal to the bit."""
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_every_weight_stands_in_one_group_at_its_rate_and_decay(optimizer: OptimizerConfig) -> None:
    """The schedule scales the `lr` of every group: each weight follows it, and once."""
    model = start()
    groups = built(optimizer, model, no_decay=("norms", "embeddings")).param_groups
    found = [(id(weight), group["lr"], group["weight_decay"]) for group in groups for weight in group["params"]]
    decays = {"embedding.weight": 0.0, "linear.weight": 0.1, "linear.bias": 0.0, "norm.weight": 0.0, "kernel": 0.1}
    assert sorted(found) == sorted((id(model.get_parameter(name)), RATE, decay) for name, decay in decays.items())


def test_steps_bring_every_weight_nearer(optimizer: OptimizerConfig) -> None:
    before = far({name: weight.detach() for name, weight in start().named_parameters()})
    after = far(trained(optimizer, range(20), decay=0.0))
    assert [name for name, distance in after.items() if not distance < before[name]] == []


def test_a_run_goes_on_to_the_bit_from_its_kept_state(optimizer: OptimizerConfig) -> None:
    """The state is read as a checkpoint is: tensors and plain data alone."""
    model = start()
    first = built(optimizer, model)
    taken(model, first, range(3))
    kept = io.BytesIO()
    torch.save({"optimizer": first.state_dict(), "model": model.state_dict()}, kept)
    kept.seek(0)
    state = torch.load(kept, weights_only=True)
    again = start()
    again.load_state_dict(state["model"])
    second = built(optimizer, again)
    second.load_state_dict(state["optimizer"])
    assert same(taken(again, second, range(3, 7)), taken(model, first, range(3, 7)))


def test_steps_follow_from_the_gradients_alone(optimizer: OptimizerConfig) -> None:
    """No random number of the process has a part in them."""
    torch.manual_seed(1)
    first = trained(optimizer, range(4))
    torch.manual_seed(2)
    assert same(trained(optimizer, range(4)), first)


def test_the_schedule_scales_the_whole_step(optimizer: OptimizerConfig) -> None:
    """A group's `lr` is read at each step, after a resume, too: at a rate of 0 nothing moves."""
    model = start()
    half = built(optimizer, model)
    half.load_state_dict(half.state_dict())
    for group in half.param_groups:
        group["lr"] = RATE / 2
    expected = trained(optimizer, range(3), rate=RATE / 2)
    found = taken(model, half, range(3))
    assert [name for name in expected if not torch.allclose(found[name], expected[name], rtol=1e-5)] == []
    for group in half.param_groups:
        group["lr"] = 0.0
    assert same(taken(model, half, range(3, 6)), found)


def test_a_weight_with_a_factor_learns_at_that_rate_and_keeps_its_decay(optimizer: OptimizerConfig) -> None:
    """An initialiser sets factors, which the steps of optimizers that are `scale_free` follow."""
    groups = built(optimizer, model := start(), factors={"linear.weight": 0.25}).param_groups
    found = {id(weight): (group["lr"], group["weight_decay"]) for group in groups for weight in group["params"]}
    assert found[id(model.linear.weight)] == (RATE / 4, 0.4)
    assert found[id(model.embedding.weight)] == (RATE, 0.1)


def test_an_optimizer_that_is_scale_free_ignores_how_large_gradients_are(optimizer: OptimizerConfig) -> None:
    if not optimizer.scale_free:
        pytest.skip("it is not scale_free: an initialiser that sets rates is refused beside it")
    assert optimizer.by_element
    first, other = (taken(model := start(), built(optimizer, model), range(3), scale) for scale in (1.0, 64.0))
    assert [name for name in first if not torch.allclose(first[name], other[name], rtol=1e-5, atol=1e-7)] == []


def test_decay_shrinks_the_weights_that_have_it_and_no_others(optimizer: OptimizerConfig) -> None:
    model = start()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    after = taken(model, built(optimizer, model, no_decay=("norms", "embeddings")), range(3), scale=0.0)
    for name, weight in after.items():
        if name in ("linear.weight", "kernel"):
            assert weight.norm() < before[name].norm(), name
        else:
            assert torch.equal(weight, before[name]), f"{name} moves without a gradient or decay"


def test_an_optimizer_by_element_trains_shards_as_it_trains_the_whole(optimizer: OptimizerConfig) -> None:
    """Several devices have a shard of each weight; nothing else than that shard may count."""
    if not optimizer.by_element:
        pytest.skip("it is not by_element: a run of it takes one device")
    whole = nn.Linear(4, 8, bias=False)
    initialise(whole, seed=0)
    shards = nn.ParameterList(nn.Parameter(shard.clone()) for shard in torch.split(whole.weight.detach(), [3, 5]))
    optimizers = [built(optimizer, model) for model in (whole, shards)]
    for step in range(4):
        gradient = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        whole.weight.grad = gradient
        for shard, part in zip(shards, torch.split(gradient, [3, 5]), strict=True):
            shard.grad = part.clone()
        for one in optimizers:
            one.step()
    torch.testing.assert_close(torch.cat([*shards]), whole.weight, rtol=1e-6, atol=1e-7)
