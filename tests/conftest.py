"""Settings of the whole test suite, and the devices that it runs on.

A test that takes the fixture `device` is of the mathematics, which every device computes: it runs
on each that is here. All others run on the CPU, also on a machine with a GPU: they are about the
CPU, or about what no device changes.
"""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch

# Before torch is imported: tiny tensors, and tests may run in parallel.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a lone worker has a thread a core; spinning, two starve
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for tests that compare a GPU's bits

VISIBLE = "CUDA_VISIBLE_DEVICES"

pytest.register_assert_rewrite("mta_lab.testing")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three processes for the whole suite, as tests often wait for others on the two cores.

    A part of it that is named is there sooner without.
    """
    return 3 if config.args_source == pytest.Config.ArgsSource.TESTPATHS else 0


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep modules and tests out of garbage collections: each training starts with a full one."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    allowed = "cpu; cuda, with the tests of the mathematics alone; all, which is both; default: those that are here"
    parser.addoption("--device", choices=["cpu", "cuda", "all"], help=f"devices that tests run on: {allowed}")


def pytest_configure(config: pytest.Config) -> None:
    asked = config.getoption("--device")
    if asked == "cpu":
        os.environ[VISIBLE] = ""
    elif asked and "cuda" not in devices(config):
        raise pytest.UsageError(f"--device: got '{asked}', but torch can use no GPU here; allowed: cpu")


def devices(config: pytest.Config) -> list[str]:
    """Return the devices that tests of the mathematics run on; imports torch, which is slow."""
    import torch

    from mta_lab.devices.visible import usable

    if not usable():
        return ["cpu"]
    torch.cuda.init()  # this process sees the GPUs from now on, whatever the variable says
    return ["cuda"] if config.getoption("--device") == "cuda" else ["cpu", "cuda"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", devices(metafunc.config), indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--device") == "cuda":
        others = [item for item in items if "device" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session", autouse=True)
def without_gpus() -> Iterator[None]:
    """Hide the GPUs from this process, which may have found them, and from those that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VISIBLE, "")
        if own := sys.modules.get("mta_lab.devices.own"):
            patch.setattr(own, "device", lambda: own.CPU)
        yield


@pytest.fixture
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> "torch.device":
    """Return the device that the test computes on, and that a run in it trains on."""
    import torch

    from mta_lab.devices import own

    where = torch.device(request.param)
    if where.type == "cuda":
        monkeypatch.setattr(own, "device", lambda: where)
        monkeypatch.setenv(VISIBLE, "0")
        own.set_precision("fp32")  # no TF32
    return where
