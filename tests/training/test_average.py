"""An average of the weights: by hand in float64, scored and kept, and resumed to the bit."""

from pathlib import Path

import torch

from mta_lab.data import Corpus
from mta_lab.model import build_model
from mta_lab.training import tensors
from mta_lab.training.average import Average
from mta_lab.training.run import train
from mta_lab.training.step import TrainingStep, random_tokens
from tests.training.conftest import Configure
from tests.training.recorder import recording
from tests.training.test_resume import run, same

SETTINGS = {"model.layers": 1, "attention": "softmax", "training.steps": 6, "training.validations": 2}


def test_the_average_is_that_of_the_equation_by_hand(configure: Configure) -> None:
    """The first step keeps 2 / 11, as the warm-up says; later ones 0.25."""
    config = configure(SETTINGS)
    model = build_model(config, seed=0)
    average, step = Average(model, 0.25), TrainingStep(model, config.training)
    expected = {name: weight.detach().double() for name, weight in model.named_parameters()}
    for number in range(1, 5):
        step(random_tokens(config))
        average.add(model, number)
        keep = min(0.25, (1 + number) / (10 + number))
        for name, weight in model.named_parameters():
            expected[name] = keep * expected[name] + (1 - keep) * weight.detach().double()
    for name, weight in average.model.named_parameters():
        torch.testing.assert_close(weight.double(), expected[name], rtol=1e-5, atol=1e-7)
        assert not torch.allclose(weight, model.get_parameter(name))


def test_a_run_scores_and_keeps_its_average_and_trains_as_without(
    configure: Configure, corpus: Corpus, tmp_path: Path
) -> None:
    found = {}
    for ema in (0.0, 0.9):
        with recording() as seen:
            result = train(configure({**SETTINGS, "training.ema": ema}), corpus, weights=tmp_path / str(ema))
        assert seen.model is not None
        found[ema] = result, seen.model.state_dict(), tensors.read(tmp_path / str(ema))
    (plain, weights, kept), (averaged, same_weights, average) = found[0.0], found[0.9]
    assert averaged.losses == plain.losses
    assert all(torch.equal(weight, same_weights[name]) for name, weight in weights.items())
    assert all(torch.equal(weight, kept[name]) for name, weight in weights.items())
    assert not any(torch.equal(weight, average[name]) for name, weight in weights.items())
    assert [one.step for one in averaged.validations] == [3, 6]
    assert averaged.validations != plain.validations


def test_it_goes_on_to_the_bit_between_steps_and_inside_a_validation(
    configure: Configure, corpus: Corpus, tmp_path: Path
) -> None:
    config = configure({**SETTINGS, "training.ema": 0.9})
    whole, parts = run(config, corpus, tmp_path / "whole"), run(config, corpus, tmp_path / "parts", (5, 7))
    same(parts, whole)
