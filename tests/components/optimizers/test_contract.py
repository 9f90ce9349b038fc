"""The shipped optimizers keep the contract that `mta_lab.testing` checks."""

from components import FAMILIES
from mta_lab.testing.optimizer_conformance import *  # noqa: F403  # its tests and its hook


def test_there_are_optimizers() -> None:
    shipped = {variant.name for variant in FAMILIES["optimizers"].registered()}
    assert shipped >= {"adamw", "muon", "lion", "sgd", "adafactor"}
