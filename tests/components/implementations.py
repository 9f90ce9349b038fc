"""Which implementations of the attention core can be tested here."""

import os

import pytest

from components.kernels import fused

IMPLEMENTATIONS = ("eager", "streaming", "fused")


def require(impl: str) -> None:
    """Skip a test of the fused kernel where it is not built; fail it where MTA_LAB_REQUIRE_FUSED is set, as in CI."""
    if impl == "fused" and (why_not := fused.unavailable()):
        if os.environ.get("MTA_LAB_REQUIRE_FUSED"):
            pytest.fail(f"MTA_LAB_REQUIRE_FUSED is set, and the fused kernel is not there: {why_not}")
        pytest.skip(f"the fused kernel is not there: {why_not}")
