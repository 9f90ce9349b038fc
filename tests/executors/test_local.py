"""Worker processes of this machine as an executor; one pool of two for the whole suite."""

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from multiprocessing import Pipe, active_children
from pathlib import Path

import pytest

from components.registry import FAMILIES
from mta_lab.config import fingerprint
from mta_lab.executors import fence
from mta_lab.executors.base import Cancelled, Failed, Finished, RunRequest
from mta_lab.executors.local import trainer
from mta_lab.executors.local.executor import LocalExecutor
from mta_lab.executors.local.messages import Setup, Stop
from mta_lab.executors.local.pool import Pool
from mta_lab.plugins import load_components
from tests.config.helpers import config
from tests.executors.conformance import Behaviour, ExecutorConformance, Subject, Told, TrainsStages

SIZES = ("model.width=16", "model.heads=2", "model.layers=1", "model.vocabulary=28", "model.feed_forward_multiple=16")
RUN = ("task={name: find_block, letters: 3, blocks: 2, held_out: 12}", "training.validations=2")
STEPS = {"long": 100_000}  # minutes


@pytest.fixture(scope="module")
def component() -> Iterator[Path]:
    file = Path(__file__).parent / "behaving.py"
    load_components([file])
    yield file
    del FAMILIES["attention"]._variants["behaving"]
    for name in [name for name in sys.modules if name.startswith("mta_lab_components_behaving")]:
        del sys.modules[name]  # another module's tests load it again


@pytest.fixture(scope="module")
def request_of(component: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Behaviour], RunRequest]:
    folder, seeds = tmp_path_factory.mktemp("runs"), count()

    def request(how: Behaviour) -> RunRequest:
        mood = "training" if how in ("quick", "long") else how
        attention, steps = f"attention={{name: behaving, how: {mood}}}", f"training.steps={STEPS.get(how, 4)}"
        run = config(*SIZES, *RUN, attention, steps, "training.warmup_steps=1", f"seed={next(seeds)}")
        name = fingerprint(run, "")
        return RunRequest(config=run, corpus_root=folder, checkpoints=folder / name, weights=folder / f"{name}.pt")

    return request


@pytest.fixture(scope="module")
def subject(
    component: Path, request_of: Callable[[Behaviour], RunRequest], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    with LocalExecutor(2, [component], tmp_path_factory.mktemp("logs"), threads=1) as executor:
        yield Subject(executor, request_of)


def blocked(process: int | None) -> bool:
    """Return whether no thread of a process takes SIGTERM.

    Lightning's handler would have the run dropped, not kept.
    """
    masks = [
        re.search(r"^SigBlk:\s*(\w+)", file.read_text(), re.M)
        for file in Path(f"/proc/{process}/task").glob("*/status")
    ]
    return all(mask and int(mask[1], 16) & 1 << signal.SIGTERM - 1 for mask in masks)


class TestWorkers(TrainsStages):
    """Further promises of worker processes."""

    def test_a_stop_that_comes_late_does_not_hurt(self, subject: Subject, told: Told) -> None:
        assert isinstance(subject.executor, LocalExecutor)
        first = told.end_of(subject.executor.submit(subject.request("quick")))
        for worker in (0, 1):
            for _ in range(2):
                subject.executor._pool.send(worker, Stop())  # the run is over
        second = told.end_of(subject.executor.submit(subject.request("quick")))
        for end in (first, second):
            assert isinstance(end, Finished)
            assert [step for step, _ in end.result.losses] == [1, 2, 3, 4]
            assert [validation.step for validation in end.result.validations] == [2, 4]

    def test_the_same_run_comes_to_the_same_bits(self, subject: Subject, told: Told) -> None:
        request = subject.request("quick")
        first, second = (told.end_of(subject.executor.submit(request)) for _ in range(2))
        assert isinstance(first, Finished)
        assert isinstance(second, Finished)
        assert second.result.losses == first.result.losses
        assert second.result.validations == first.result.validations

    def test_after_an_error_of_the_device_another_process_is_in_the_place(self, subject: Subject, told: Told) -> None:
        assert isinstance(subject.executor, LocalExecutor)
        before = self._processes(subject, told)
        broken = subject.executor.submit(subject.request("breaking"))
        end = told.end_of(broken)
        assert isinstance(end, Failed)
        assert (end.kind, broken.slot and broken.slot.number) == ("device", 0)
        assert end.reason.startswith("AcceleratorError: CUDA error: an illegal memory access was encountered (")
        after = self._processes(subject, told)
        assert after[0] != before[0]
        assert after[1] == before[1]

    def _processes(self, subject: Subject, told: Told) -> dict[int, str]:
        """Return the process that trains in each slot, as a run reports it."""
        assert isinstance(subject.executor, LocalExecutor)
        executor = subject.executor
        told.until(lambda: executor._ready - executor._ending == {0, 1})
        handles = [executor.submit(subject.request("reporting")) for _ in executor.slots]
        ends = {handle.slot.number: told.end_of(handle) for handle in handles if handle.slot}
        return {slot: re.findall(r"in (\d+) ", end.reason)[0] for slot, end in ends.items() if isinstance(end, Failed)}

    def test_what_has_changed_since_the_launch_began_is_not_trained_under_its_old_name(
        self, subject: Subject, told: Told, tmp_path: Path
    ) -> None:
        request = replace(subject.request("quick"), checkpoints=tmp_path / "0123456789abcdef")
        failed = told.end_of(subject.executor.submit(request))
        assert isinstance(failed, Failed)
        assert "has changed since this launch began" in failed.reason

    def test_only_a_finished_run_leaves_weights_and_no_thread_of_it_takes_a_signal(
        self, subject: Subject, told: Told
    ) -> None:
        request = subject.request("long")
        handle = subject.executor.submit(request)
        told.until_heard(handle)
        busy = [child.pid for child in active_children() if child.name == f"mta-lab worker {handle.slot.number}"]  # type: ignore[union-attr]
        assert len(busy) == 1
        assert blocked(busy[0])
        subject.executor.cancel(handle, keep=False)
        assert isinstance(told.end_of(handle), Cancelled)
        assert not request.weights.exists()
        whole = subject.request("quick")
        told.end_of(subject.executor.submit(whole))
        assert whole.weights.exists()

    @pytest.mark.parametrize("how", ["quick", "long"])
    def test_an_attempt_whose_run_was_given_away_writes_nothing(
        self, how: Behaviour, subject: Subject, told: Told
    ) -> None:
        request = subject.request(how)
        request = replace(request, attempt=fence.give(request.checkpoints))
        fence.give(request.checkpoints)
        handle = subject.executor.submit(request)
        if how == "long":
            told.until_heard(handle)
            subject.executor.cancel(handle, keep=True)
        end = told.end_of(handle)
        assert isinstance(end, Failed)
        assert (end.kind, end.reason) == (
            "lost",
            "the run was given to another attempt; this one ends and writes nothing",
        )
        assert [path.name for path in request.checkpoints.iterdir()] == [fence.OWNER]
        assert not request.weights.exists()

    def test_a_worker_that_is_terminated_gives_its_run_back(self, subject: Subject, told: Told) -> None:
        handle = subject.executor.submit(subject.request("long"))
        told.until_heard(handle)
        (worker,) = (child for child in active_children() if child.name == f"mta-lab worker {handle.slot.number}")  # type: ignore[union-attr]
        worker.terminate()
        end = told.end_of(handle)
        assert isinstance(end, Cancelled)
        assert end.kept
        assert end.step > 0


@pytest.mark.parametrize(
    ("workers", "devices"),
    [
        (3, ["6", "MIG-0f"]),
        pytest.param(8, [str(number) for number in range(8)], marks=pytest.mark.slow),
    ],
)
def test_each_worker_has_its_device_alone(
    workers: int,
    devices: Sequence[str],
    component: Path,
    request_of: Callable[[Behaviour], RunRequest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "pretended")
    with LocalExecutor(workers, [component], tmp_path, threads=1, devices=devices) as executor:
        told = Told(executor)
        told.until(lambda: len(executor._ready) == workers)
        handles = [executor.submit(request_of("reporting")) for _ in range(workers)]
        ends = {handle.slot.number: told.end_of(handle) for handle in handles if handle.slot}
    reasons = [end.reason for _, end in sorted(ends.items()) if isinstance(end, Failed)]
    assert len(reasons) == workers
    for worker, reason in enumerate(reasons):
        assert reason.startswith(f"RuntimeError: told to report {devices[worker % len(devices)]} in ")
    assert executor.slots[0].resources.gpus == min(1.0, len(devices) / workers)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "pretended"


class TestLocalExecutor(ExecutorConformance):
    """The whole suite."""


def test_a_worker_finds_the_text_that_the_launch_has_prepared_or_says_where_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "news.txt").write_text("some text")
    run = config(f"data.path={tmp_path / 'text'}")
    prepared = tmp_path / "data"
    request = RunRequest(config=run, corpus_root=prepared, checkpoints=tmp_path / "run", weights=tmp_path / "run.pt")
    end = trainer.train_run(request, Pipe()[0])
    assert isinstance(end, Failed)
    assert f"host {socket.gethostname()} does not find it in {prepared}, which is to be on a disk" in end.reason
    assert not prepared.exists()


@pytest.mark.parametrize(("mine", "theirs"), [(None, "passive"), ("active", "active")])
def test_idle_threads_of_a_worker_wait_quietly_unless_the_user_says_otherwise(
    mine: str | None, theirs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY")
    if mine:
        monkeypatch.setenv("OMP_WAIT_POLICY", mine)
    before = set(active_children())
    pool = Pool(1, Setup(components=(), threads=1), tmp_path)
    try:
        (worker,) = set(active_children()) - before
        process, until = Path(f"/proc/{worker.pid}"), time.monotonic() + 60
        while b"spawn_main" not in (process / "cmdline").read_bytes():  # it is a copy of this process still
            assert time.monotonic() < until
            time.sleep(0.01)
        started_with = (process / "environ").read_bytes().split(b"\0")
    finally:
        pool.close()
    assert f"OMP_WAIT_POLICY={theirs}".encode() in started_with
