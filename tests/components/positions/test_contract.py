"""The shipped positions keep the contract that `mta_lab.testing` checks."""

from components import FAMILIES
from mta_lab.testing.position_conformance import *  # noqa: F403  # its tests and its hook


def test_there_are_positions() -> None:
    shipped = {variant.name for variant in FAMILIES["positions"].registered()}
    assert shipped >= {"none", "alibi", "learned", "rotary", "rotary_linear", "rotary_ntk", "rotary_yarn"}
