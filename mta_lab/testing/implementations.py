"""The implementations of the attention core that can be tested here."""

import os

import pytest

from components.kernels import choice
from components.kernels.cpu import library

IMPLEMENTATIONS = [name for name, one in choice.IMPLEMENTATIONS.items() if one.takes_operations]


def require(impl: str) -> None:
    """Skip a test of the fused kernel if it is not built.

    Fail it if MTA_LAB_REQUIRE_FUSED is set, as in CI.
    """
    if impl == "fused" and (why_not := library.unavailable()):
        if os.environ.get("MTA_LAB_REQUIRE_FUSED"):
            pytest.fail(f"MTA_LAB_REQUIRE_FUSED is set, and the fused kernel is not there: {why_not}")
        pytest.skip(f"the fused kernel is not there: {why_not}")
