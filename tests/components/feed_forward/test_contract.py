"""The shipped feed-forwards keep the contract that `mta_lab.testing` checks."""

from components import FAMILIES
from mta_lab.testing.feed_forward_conformance import *  # noqa: F403  # its tests and its hook


def test_there_are_feed_forwards() -> None:
    shipped = {variant.name for variant in FAMILIES["feed_forward"].registered()}
    assert shipped >= {"swiglu", "gelu", "relu_squared", "mixture"}
