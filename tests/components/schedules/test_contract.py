"""The shipped schedules keep the contract that `mta_lab.testing` checks."""

from components import FAMILIES
from mta_lab.testing.schedule_conformance import *  # noqa: F403  # its tests and its hook


def test_there_are_schedules() -> None:
    shipped = {variant.name for variant in FAMILIES["schedules"].registered()}
    assert shipped >= {"linear", "cosine", "wsd", "constant", "inverse_square_root"}
