"""The account of workers on other machines, which say what a script says."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.executors.base import Failed, Progressed, Resources, RunRequest, Slot
from mta_lab.executors.local.messages import Arrived, Died, Message, Ready, Stop
from mta_lab.executors.places import Gate, Place, read_nonce
from mta_lab.executors.workers import STARTS, WorkersExecutor
from mta_lab.training.result import Progress
from tests.config.helpers import config

VERSIONS = {"commit": "a", "sources": "a", "torch": "2"}
REQUEST = RunRequest(config=config(), corpus_root=Path("data"), checkpoints=Path("run"), weights=Path("run.pt"))


@dataclass
class Scripted:
    """Workers of several hosts, which say what is put into `says`."""

    hosts: set[str]
    says: deque[tuple[int, Message]] = field(default_factory=deque)
    sent: list[tuple[int, RunRequest | Stop]] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)

    def send(self, worker: int, message: RunRequest | Stop) -> None:
        self.sent.append((worker, message))

    def kill(self, worker: int) -> None:
        self.killed.append(worker)

    def poll(self, seconds: float) -> Sequence[tuple[int, Message]]:
        said = list(self.says)
        self.says.clear()
        return said

    def leave_out(self, host: str) -> bool:
        self.hosts.discard(host)
        return bool(self.hosts)

    def close(self) -> None:
        pass


@dataclass
class Cluster:
    pool: Scripted
    executor: WorkersExecutor
    directory: Path
    said: list[str]

    def comes(self, worker: int, host: str, versions: dict[str, str] = VERSIONS, ends: float | None = None) -> None:
        """Let a worker come to a place on a host, and become ready there."""
        nonce = read_nonce(self.directory)
        place = Place(host=host, machine="cpu", threads=1, versions=versions, nonce=nonce, ends=ends)
        self.pool.says += [(worker, Arrived(host=host)), (worker, Ready(place=place))]
        self.executor.poll(0)

    def dies(self, worker: int, *, by_itself: bool, host: str = "") -> None:
        died = Died(kind="killed", by_itself=by_itself, reason="it died", log=Path("log"), printed="why")
        self.pool.says += [*([(worker, Arrived(host=host))] if host else []), (worker, died)]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    said: list[str] = []
    pool = Scripted({"a", "b"})
    slots = [Slot(number=number, resources=Resources(cores=1)) for number in range(2)]
    return Cluster(pool, WorkersExecutor(slots, pool, Gate(tmp_path, VERSIONS, said.append)), tmp_path, said)


def test_a_run_starts_with_the_first_worker_however_late_the_others_come(cluster: Cluster) -> None:
    handles = [cluster.executor.submit(REQUEST) for _ in range(2)]
    assert cluster.executor.poll(0) == []
    cluster.comes(1, "b")
    assert cluster.pool.sent == [(1, REQUEST)]
    assert [handle.state for handle in handles] == ["running", "queued"]
    assert handles[0].slot is cluster.executor.slots[1]
    cluster.comes(0, "a")
    assert [handle.state for handle in handles] == ["running", "running"]


def test_a_host_of_other_code_trains_nothing_and_is_left_out(cluster: Cluster) -> None:
    cluster.executor.submit(REQUEST)
    cluster.comes(0, "a", versions=VERSIONS | {"torch": "1"})
    assert cluster.said == [
        "host a has torch 1, where the launch has 2: install the same there, or start from a folder that all hosts "
        "share"
    ]
    assert (cluster.pool.sent, cluster.pool.killed, cluster.pool.hosts) == ([], [0], {"b"})
    cluster.dies(0, by_itself=False)
    cluster.comes(0, "b")
    assert cluster.pool.sent == [(0, REQUEST)]


def test_where_no_host_is_left_the_launch_ends(cluster: Cluster) -> None:
    cluster.comes(0, "a", versions=VERSIONS | {"torch": "1"})
    with pytest.raises(UserError, match=r"^no host is left to train on: host b has torch 3, where the launch has 2"):
        cluster.comes(1, "b", versions=VERSIONS | {"torch": "3"})


def test_a_host_on_which_workers_cannot_start_is_left_out_and_the_others_go_on(cluster: Cluster) -> None:
    cluster.executor.submit(REQUEST)
    for _ in range(STARTS):
        cluster.dies(0, by_itself=True, host="a")
        cluster.executor.poll(0)
    assert cluster.said == ["host a is left out: it failed 3 times in a row, the last: it died"]
    assert cluster.pool.hosts == {"b"}
    cluster.comes(0, "b")
    assert cluster.pool.sent == [(0, REQUEST)]


@pytest.mark.parametrize(("progress", "left"), [(False, {"b"}), (True, {"a", "b"})])
def test_a_host_whose_gpu_breaks_again_and_again_is_left_out_unless_runs_come_further(
    progress: bool, left: set[str], cluster: Cluster
) -> None:
    for _ in range(STARTS):
        cluster.comes(0, "a")
        cluster.executor.submit(REQUEST)
        if progress:
            cluster.pool.says.append((0, Progressed(progress=Progress(step=1, loss=1.0))))
        broken = Failed(kind="device", reason="broken", traceback="")
        cluster.pool.says.append((0, broken))
        assert broken in [event for _, event in cluster.executor.poll(0)]
        cluster.dies(0, by_itself=True)
        cluster.executor.poll(0)
    assert cluster.pool.hosts == left


def test_a_place_near_the_end_of_its_time_takes_no_run(cluster: Cluster) -> None:
    handle = cluster.executor.submit(REQUEST)
    cluster.comes(0, "a", ends=0.0)
    assert handle.state == "queued"
    cluster.comes(1, "b")
    assert handle.slot is cluster.executor.slots[1]


def test_without_a_word_of_its_host_a_worker_that_cannot_start_ends_the_launch(cluster: Cluster) -> None:
    def die_three_times() -> None:
        for _ in range(STARTS):
            cluster.dies(0, by_itself=True)
            cluster.executor.poll(0)

    with pytest.raises(UserError, match=r"^a worker could not start, 3 times in a row: it died; see log$"):
        die_three_times()
