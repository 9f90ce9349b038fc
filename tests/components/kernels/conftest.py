"""Fixtures that tests of several kernels share."""

from collections.abc import Callable, Iterator

import pytest
import torch

from mta_lab.testing import implementations


@pytest.fixture
def able(impl: str, device: torch.device) -> None:
    """Skips a test of an implementation that is not here, or not of the device."""
    implementations.require(impl)
    if impl == "fused" and device.type != "cpu":
        pytest.skip("the fused kernel is of the CPU")


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets torch's threads, for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
