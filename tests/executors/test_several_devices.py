"""Workers that train each run in two processes, as on two devices."""

import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path

import psutil
import pytest

from mta_lab.config import fingerprint
from mta_lab.executors.base import Cancelled, Failed, Finished, Handle, Note, Progressed, RunRequest
from mta_lab.executors.local import ranks
from mta_lab.executors.local.executor import LocalExecutor
from mta_lab.executors.local.messages import Setup
from tests.executors.conformance import ENOUGH, Behaviour, ExecutorConformance, Subject, Told, TrainsStages
from tests.executors.test_local import component, request_of  # noqa: F401  fixtures


@pytest.fixture(scope="module")
def subject(
    component: Path,  # noqa: F811
    request_of: Callable[[Behaviour], RunRequest],  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Subject]:
    def request(how: Behaviour) -> RunRequest:
        """Return a run like those of other executors; a long one takes minutes with fewer steps."""
        return of_steps(10_000, request_of(how)) if how == "long" else request_of(how)

    logs = tmp_path_factory.mktemp("logs")
    with LocalExecutor(2, [component], logs, threads=1, devices_per_run=2) as executor:
        yield Subject(executor, request)


def ranks_here() -> list[psutil.Process]:
    """Return the ranks that workers of this process have started, in order."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if process.is_running() and ranks.PROGRAM in process.cmdline()]


def test_a_rank_that_is_killed_ends_the_run_and_leaves_none_behind(
    component: Path,  # noqa: F811
    request_of: Callable[[Behaviour], RunRequest],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a worker trains it, which is this process here."""
    launch, worker = Pipe()
    log = tmp_path / "worker.log"
    log.touch()
    request = of_steps(5000, request_of("long"))  # it tells of each 50th
    setup, temporary = Setup(components=[component], threads=1, count=2), tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with ThreadPoolExecutor(1) as thread:
        training = thread.submit(ranks.train_run, request, worker, setup, log=log)
        assert launch.poll(ENOUGH)
        assert isinstance(launch.recv(), Progressed)
        both = ranks_here()
        assert len(both) == 2
        assert list(temporary.iterdir()) == []  # nothing that a worker which is killed would leave
        both[1].kill()
        end = training.result(ENOUGH)
    assert isinstance(end, Failed)
    assert (end.kind, end.reason) == ("killed", "rank 1 of a run on 2 devices died (signal SIGKILL)")
    until_gone(both)


def of_steps(steps: int, request: RunRequest) -> RunRequest:
    """Return the request of another run, of so many steps."""
    config = replace(request.config, training=replace(request.config.training, steps=steps))
    return replace(request, config=config, checkpoints=request.checkpoints.parent / fingerprint(config, ""))


def until_gone(processes: list[psutil.Process]) -> None:
    end = time.monotonic() + ENOUGH
    while alive := [process for process in processes if process.is_running() and process.status() != "zombie"]:
        assert time.monotonic() < end, f"not gone: {alive}"
        time.sleep(0.05)


@pytest.mark.slow
class TestRanks(TrainsStages):
    """Promises of workers that have two processes a run."""

    def test_slots_have_the_cores_of_all_ranks(self, subject: Subject) -> None:
        assert [slot.resources.cores for slot in subject.executor.slots] == [2, 2]

    def test_the_result_says_how_many_devices(self, subject: Subject, told: Told) -> None:
        end = told.end_of(subject.executor.submit(subject.request("quick")))
        assert isinstance(end, Finished)
        assert end.result.devices_per_run == 2

    def test_a_run_that_is_kept_goes_on_with_one_process(self, subject: Subject, told: Told, tmp_path: Path) -> None:
        request = of_steps(1000, subject.request("long"))
        handle = subject.executor.submit(request)
        told.until_heard(handle)
        subject.executor.cancel(handle, keep=True)
        kept = told.end_of(handle)
        assert isinstance(kept, Cancelled)
        assert kept.kept
        behaving = Path(__file__).parent / "behaving.py"
        with LocalExecutor(1, [behaving], tmp_path, threads=1) as executor:
            alone = Told(executor)
            other = executor.submit(request)
            assert isinstance(alone.end_of(other), Finished)
            resumed, change = [event.text for event in alone.of(other) if isinstance(event, Note)]
        assert resumed == f"resumed at step {kept.step}"
        assert change.startswith("--devices-per-run: got 1, where the run was kept with 2")

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
