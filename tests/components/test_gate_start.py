"""A gate's weight starts by the model's width (official code), not by the head's; its bias at 0 (paper)."""

import pytest
import torch

from components.initialise import initialise
from components.norms import Gate
from components.norms.gate import Per


@pytest.mark.parametrize("per", ["scalar", "channel"])
@pytest.mark.parametrize("anew", [False, True], ids=["as it is built", "initialised"])
def test_a_gate_starts_with_the_std_of_the_models_width(per: Per, anew: bool) -> None:
    torch.manual_seed(0)
    starts = []
    for seed in range(20 if per == "scalar" else 1):
        module = Gate(per=per).build(width=512, model_width=2048, layer=1)
        if anew:
            initialise(module, seed)
        weight, bias = module.get_parameter("gate.weight"), module.get_parameter("gate.bias")
        assert not bias.any()
        starts.append(weight.detach().flatten())
    values, std = torch.cat(starts), 2048**-0.5
    cut = 0.98658  # of a normal distribution's std that is left inside 3 std
    assert values.std().item() == pytest.approx(cut * std, rel=0.03)
    assert values.abs().max().item() <= 3 * std
