"""The shipped initialisers keep the contract that `mta_lab.testing` checks."""

from components import FAMILIES
from mta_lab.testing.initialiser_conformance import *  # noqa: F403  # its tests and its hook


def test_there_are_initialisers() -> None:
    shipped = {variant.name for variant in FAMILIES["initialisers"].registered()}
    assert shipped >= {"fan_in", "depth_scaled", "mup"}
