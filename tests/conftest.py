"""Settings of the whole test suite."""

import gc
import os
from collections.abc import Generator

import pytest

# Before torch is imported: tiny tensors, and tests may run in parallel.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a lone worker has a thread a core; spinning, two starve


pytest.register_assert_rewrite("mta_lab.testing")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes for the whole suite; a part of it that is named is there sooner without."""
    return 2 if config.args_source == pytest.Config.ArgsSource.TESTPATHS else 0


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep modules and tests out of garbage collections: each training starts with a full one."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
