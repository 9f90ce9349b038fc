"""The start of a norm's weight and of the output projection, if a setting says it."""

import pytest
import torch

from components.attention import MultiToken
from components.initialise import initialise
from components.norms import Depth, Gate, LayerNorm, LayerNormBlock, NormConfig, Plain
from components.registry import ComponentError
from mta_lab.config import plain

STARTED = (Plain(start=0.2), Depth(start=0.2), LayerNorm(start=0.2), LayerNormBlock(start=0.2), Gate(start=0.2))


def built(attention: MultiToken) -> torch.nn.Module:
    module = attention.build(width=16, heads=4, layer=1, layers=4)
    initialise(module, seed=0)
    return module


@pytest.mark.parametrize("norm", STARTED, ids=lambda norm: norm.name)
def test_the_weight_of_a_norm_starts_where_it_says(norm: NormConfig) -> None:
    usual, less = (dict(built(MultiToken(norm=one)).named_parameters()) for one in (type(norm)(), norm))
    weights = [parameters.pop("norm.rms.weight").unique().tolist() for parameters in (usual, less)]
    assert weights == [[1.0], [pytest.approx(0.2)]]
    assert all(torch.equal(usual[name], less[name]) for name in usual), "all else starts as it did"


def test_attention_from_zero_adds_nothing_at_first_and_learns() -> None:
    model = built(MultiToken(output_start="zero"))
    x_BTD = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    y_BTD = model(x_BTD)
    assert not y_BTD.any()
    (y_BTD * x_BTD).sum().backward()
    gradient = model.get_parameter("output.weight").grad
    assert gradient is not None
    assert gradient.any()


def test_runs_of_before_these_settings_stay_the_same() -> None:
    assert plain(Depth()) == {"name": "depth"}
    assert plain(Depth(start=0.2)) == {"name": "depth", "start": 0.2}
    assert "output_start" not in plain(MultiToken())
    assert plain(MultiToken(output_start="zero"))["output_start"] == "zero"


@pytest.mark.parametrize("start", [0.0, -1.0, float("inf")])
def test_a_weight_that_starts_at_nothing_is_refused(start: float) -> None:
    with pytest.raises(ComponentError, match=r"start: got .*, allowed: a finite number"):
        Plain(start=start)
