"""A gate built outside of a model starts as in one.

Its std is by the model's width (official code), its bias 0 (paper).
"""

import pytest
import torch

from components.norms import Gate
from components.norms.gate import Per


@pytest.mark.parametrize("per", ["scalar", "channel"])
def test_a_gate_starts_with_the_std_of_the_models_width(per: Per) -> None:
    starts = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(20 if per == "scalar" else 1):
            module = Gate(per=per).build(width=512, model_width=2048, layer=1)
            assert not module.get_parameter("gate.bias").any()
            starts.append(module.get_parameter("gate.weight").detach().flatten())
    values, std = torch.cat(starts), 2048**-0.5
    cut = 0.98658  # of a normal distribution's std that is left inside 3 std
    assert values.std().item() == pytest.approx(cut * std, rel=0.03)
    assert values.abs().max().item() <= 3 * std
