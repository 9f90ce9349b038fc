"""Models with made-up weights, as if they had been trained."""

import torch

from mta_lab.config import Layer, RunConfig, resolve, scale_layer
from mta_lab.model import build_model
from mta_lab.pictures.trained import Trained
from tests.report.examples import example_record

SMALL = {
    "task": {"name": "find_block", "letters": 3, "blocks": 3, "held_out": 10},
    "model": {"width": 16, "heads": 4, "layers": 2, "context": 20, "vocabulary": 28, "feed_forward_multiple": 16},
}
CONVOLUTION = {"name": "key_query", "kernel": [2, 4], "layers": "all"}
MIXING = {"name": "head_mixing", "group": 2}
MTA = {
    "name": "multi_token",
    "pre_softmax": [CONVOLUTION, MIXING],
    "post_softmax": [{**CONVOLUTION, "kernel": [3, 5], "layers": [2]}, MIXING],
}


def config_of(attention: object, **settings: object) -> RunConfig:
    return resolve([scale_layer("nano"), Layer("test", {**SMALL, "attention": attention, **settings})])


def trained(attention: object) -> Trained:
    """A model whose every weight is off its start."""
    config = config_of(attention)
    model, generator = build_model(config, 0).eval(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return Trained(record=example_record("0123456789abcdef", 11.25, config), config=config, model=model)
