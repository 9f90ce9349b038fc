"""The shipped residual norms keep the contract that `mta_lab.testing` checks."""

from components import FAMILIES
from mta_lab.testing.residual_norm_conformance import *  # noqa: F403  # its tests and its hook


def test_there_are_residual_norms() -> None:
    shipped = {variant.name for variant in FAMILIES["residual_norms"].registered()}
    assert shipped >= {"pre", "post", "sandwich"}
