"""The shipped components keep the contracts that `mta_lab.testing` checks."""

from components import FAMILIES
from mta_lab.testing.conformance import *  # noqa: F403  # its tests, its hook and its fixture
from mta_lab.testing.subjects import SUBJECTS


def test_every_family_is_placed() -> None:
    """A new family must say where its variants stand in an attention layer, or that they do not."""
    placed = {subject.variant.family for subject in SUBJECTS}
    assert placed == set(FAMILIES) - {
        "tasks",
        "evaluations",
        "feed_forward",
        "initialisers",
        "optimizers",
        "positions",
        "residual_norms",
        "schedules",
    }  # which have contracts of their own
