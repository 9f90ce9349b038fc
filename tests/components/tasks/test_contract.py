"""The shipped tasks keep the contract that `mta_lab.testing` checks."""

from components import FAMILIES
from mta_lab.testing.task_conformance import *  # noqa: F403  # its tests and its hook


def test_there_are_tasks() -> None:
    assert {"language", "find_block"} <= {variant.name for variant in FAMILIES["tasks"].registered()}
