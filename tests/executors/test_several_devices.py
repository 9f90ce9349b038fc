"""Workers that train each run in two processes, as on two devices."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mta_lab.executors.base import Cancelled, Failed, Finished, Handle, RunRequest
from mta_lab.executors.local import ranks
from mta_lab.executors.local.executor import LocalExecutor
from tests.executors.conformance import ENOUGH, Behaviour, ExecutorConformance, Polling, Subject, Told
from tests.executors.test_local import component, request_of  # noqa: F401  fixtures


@pytest.fixture(scope="module")
def subject(
    component: Path,  # noqa: F811
    request_of: Callable[[Behaviour], RunRequest],  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Subject]:
    logs = tmp_path_factory.mktemp("logs")
    with LocalExecutor(2, [component], logs, threads=1, devices_per_run=2) as executor:
        yield Subject(executor, request_of)


def ranks_here() -> list[psutil.Process]:
    """Return the ranks that workers of this process have started, in order."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if process.is_running() and ranks.PROGRAM in process.cmdline()]


def until_gone(processes: list[psutil.Process]) -> None:
    end = time.monotonic() + ENOUGH
    while alive := [process for process in processes if process.is_running() and process.status() != "zombie"]:
        assert time.monotonic() < end, f"not gone: {alive}"
        time.sleep(0.05)


class TestRanks(Polling):
    """Promises of workers that have two processes a run."""

    def test_a_rank_that_is_killed_ends_the_run_and_leaves_none_behind(self, subject: Subject, told: Told) -> None:
        handle = subject.executor.submit(subject.request("long"))
        told.until_heard(handle)
        both = ranks_here()
        assert len(both) == 2
        both[1].kill()
        end = told.end_of(handle)
        assert isinstance(end, Failed)
        assert (end.kind, end.reason) == ("killed", "rank 1 of a run on 2 devices died (signal SIGKILL)")
        until_gone(both)
        assert handle.slot
        assert handle.slot.resources.cores == 2

    @pytest.mark.slow
    def test_a_rank_that_is_terminated_gives_the_run_back(self, subject: Subject, told: Told) -> None:
        for rank in (0, 1):
            request = subject.request("long")
            handle = subject.executor.submit(request)
            told.until_heard(handle)
            both = ranks_here()
            both[rank].terminate()
            end = told.end_of(handle)
            assert isinstance(end, Cancelled)
            assert end.kept
            assert end.step > 0
            assert list(request.checkpoints.glob("*.ckpt"))
            until_gone(both)

    @pytest.mark.slow
    def test_no_rank_outlives_its_worker(self, subject: Subject, told: Told) -> None:
        for how in ("long", "hanging"):
            handle = subject.executor.submit(subject.request(how))
            told.until(lambda: len(ranks_here()) == 2)
            time.sleep(1.0)
            both = ranks_here()
            os.kill(both[0].ppid(), signal.SIGKILL)
            end = told.end_of(handle)
            assert isinstance(end, Failed)
            assert end.reason == "the worker process died (signal SIGKILL)"
            until_gone(both)


@pytest.mark.slow
def test_each_rank_has_a_device_of_its_own(
    component: Path,  # noqa: F811
    request_of: Callable[[Behaviour], RunRequest],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "pretended")
    devices = ["4", "5", "6", "7"]
    with LocalExecutor(2, [component], tmp_path, threads=1, devices=devices, devices_per_run=2) as executor:
        assert executor.slots[0].resources.gpus == 2.0
        told = Told(executor)
        told.until(lambda: len(executor._ready) == 2)
        handles = [executor.submit(request_of("reporting")) for _ in range(2)]
        ends = [told.end_of(handle) for handle in handles]
    for handle, end, allowed in zip(handles, ends, ({"4", "5"}, {"6", "7"}), strict=True):
        assert isinstance(handle, Handle)
        assert isinstance(end, Failed)
        (device,) = re.findall(r"told to report (\S+) in ", end.reason)
        assert device in allowed


@pytest.mark.slow
class TestExecutorOfSeveralDevices(ExecutorConformance):
    """The whole suite."""

    def test_the_result_says_how_many_devices(self, subject: Subject, told: Told) -> None:
        end = told.end_of(subject.executor.submit(subject.request("quick")))
        assert isinstance(end, Finished)
        assert end.result.devices_per_run == 2
