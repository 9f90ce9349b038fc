"""One warm worker process: it stops when it is asked to, and a word that comes late does not hurt it."""

import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import pytest

from mta_lab.config import fingerprint
from mta_lab.executors.local.messages import Failed, Finished, Message, Progressed, Ready, Stop, TrainRun
from mta_lab.executors.local.pool import Pool
from mta_lab.training.result import TrainingResult
from tests.config.helpers import config

SIZES = ("model.width=16", "model.heads=2", "model.layers=1", "model.vocabulary=28", "model.feed_forward_multiple=16")
RUN = ("task={name: find_block, letters: 3, blocks: 2, held_out: 12}", "training.validations=2")
MANY = 4000  # steps: seconds


def request(steps: int, folder: Path) -> TrainRun:
    run = config(*SIZES, *RUN, f"training.steps={steps}", "training.warmup_steps=1")
    return TrainRun(
        config=run, corpus_root=folder, checkpoints=folder / fingerprint(run, ""), weights=folder / "run.pt"
    )


def words(pool: Pool) -> Iterator[Message]:
    return (message for _, message in pool.messages() if message is not None)


def result(pool: Pool) -> TrainingResult:
    """What the run at hand comes to."""
    message = next(message for message in words(pool) if not isinstance(message, Progressed))
    assert isinstance(message, Finished)
    return message.result


def blocked(process: int | None) -> bool:
    """Whether no thread of a process takes SIGTERM: Lightning's handler would have the run dropped, not kept."""
    masks = [
        re.search(r"^SigBlk:\s*(\w+)", file.read_text(), re.M)
        for file in Path(f"/proc/{process}/task").glob("*/status")
    ]
    return all(mask and int(mask[1], 16) & 1 << signal.SIGTERM - 1 for mask in masks)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with Pool(1, [], tmp_path_factory.mktemp("logs"), threads=1) as pool:
        assert isinstance(next(words(pool)), Ready)
        yield pool


def test_a_stop_that_comes_late_does_not_hurt(pool: Pool, tmp_path: Path) -> None:
    pool.send(0, Stop())  # before any run
    pool.send(0, request(4, tmp_path))
    first = result(pool)
    for _ in range(2):
        pool.send(0, Stop())  # the run is over
    pool.send(0, request(4, tmp_path))
    second = result(pool)
    for found in (first, second):
        assert not found.stopped_early
        assert [step for step, _ in found.losses] == [1, 2, 3, 4]
        assert [validation.step for validation in found.validations] == [2, 4]
    assert second.losses == first.losses
    assert second.validations == first.validations


def test_what_has_changed_since_the_launch_began_is_not_trained_under_its_old_name(pool: Pool, tmp_path: Path) -> None:
    pool.send(0, replace(request(4, tmp_path), checkpoints=tmp_path / "0123456789abcdef"))
    failed = next(words(pool))
    assert isinstance(failed, Failed)
    assert "has changed since this launch began" in failed.reason


def test_a_run_that_is_asked_to_stop_stops_and_the_next_one_is_whole(pool: Pool, tmp_path: Path) -> None:
    pool.send(0, request(MANY, tmp_path))
    first = next(words(pool))
    assert isinstance(first, Progressed)
    assert all(blocked(child.pid) for child in active_children())
    for _ in range(2):  # as a launch may, that hears of another validation meanwhile
        pool.send(0, Stop())
    stopped = result(pool)
    assert stopped.stopped_early
    assert first.progress.step <= stopped.losses[-1][0] < MANY
    assert all(validation.step < MANY for validation in stopped.validations)
    assert not (tmp_path / "run.pt").exists()
    pool.send(0, request(4, tmp_path))
    assert not result(pool).stopped_early
    assert (tmp_path / "run.pt").exists()


@pytest.mark.parametrize(("mine", "theirs"), [(None, "passive"), ("active", "active")])
def test_idle_threads_of_a_worker_wait_quietly_unless_the_user_says_otherwise(
    mine: str | None, theirs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY")
    if mine:
        monkeypatch.setenv("OMP_WAIT_POLICY", mine)
    before = set(active_children())
    with Pool(1, [], tmp_path, threads=1):
        (worker,) = set(active_children()) - before
        process, until = Path(f"/proc/{worker.pid}"), time.monotonic() + 60
        while b"spawn_main" not in (process / "cmdline").read_bytes():  # it is a copy of this process still
            assert time.monotonic() < until
            time.sleep(0.01)
        started_with = (process / "environ").read_bytes().split(b"\0")
    assert f"OMP_WAIT_POLICY={theirs}".encode() in started_with
