"""The executor of a Ray cluster, on a Ray of this machine alone."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from mta_lab.children import python
from mta_lab.errors import UserError
from mta_lab.executors.base import Cancelled, Failed, Finished, Handle, RunRequest
from mta_lab.executors.local.messages import Setup
from mta_lab.executors.ray.listening import towards
from mta_lab.results.records import Records
from mta_lab.workspace import RAY_TOKEN
from tests.executors.conformance import ENOUGH, Behaviour, ExecutorConformance, Subject, Told, TrainsStages
from tests.executors.test_local import component, request_of  # noqa: F401  fixtures
from tests.launch.sweeps import write_words
from tests.real.cluster import WITH_RAY
from tests.real.test_dashboard import COMMAND, environment

if TYPE_CHECKING:
    from mta_lab.executors.ray.executor import RayExecutor

pytestmark = [pytest.mark.real, WITH_RAY]
TOKEN = "RAY_AUTH_TOKEN"
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
SECRET = "a-password-of-a-tracking-server"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def subject(
    component: Path,  # noqa: F811
    request_of: Callable[[Behaviour], RunRequest],  # noqa: F811
    state: Path,
) -> Iterator[Subject]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
        with started(component, state) as executor:
            yield Subject(executor, request_of)


def started(component: Path, state: Path) -> "RayExecutor":  # noqa: F811
    from mta_lab.executors.ray.executor import on_this_machine

    return on_this_machine(2, Setup(components=[component], threads=1), state)


def ray_processes() -> list[psutil.Process]:
    """Return the processes of the Ray that this process has started, the workers among them."""
    return [process for process in psutil.Process().children(recursive=True) if process.is_running()]


def relays() -> list[psutil.Process]:
    return [process for process in ray_processes() if (process.cmdline() or [""])[0].startswith("ray::Relay")]


def training(
    subject: Subject, told: Told, behaviour: Behaviour = "long"
) -> tuple[Handle, psutil.Process, psutil.Process]:
    """Start a run and wait until it trains; return it, its slot's relay and the worker there."""
    handle = subject.executor.submit(subject.request(behaviour))
    if behaviour == "long":
        told.until_heard(handle)
    else:
        told.until(lambda: handle.state == "running")
    assert handle.slot
    return handle, *relay_and_worker(handle.slot.number)


def relay_and_worker(slot: int) -> tuple[psutil.Process, psutil.Process]:
    """Return the relay of a slot and its worker process, which has the slot's log open."""
    name = f"worker-{slot}.log"
    for relay in relays():
        for child in relay.children():
            if any(Path(file.path).name == name for file in child.open_files()):
                return relay, child
    raise AssertionError(f"no relay of slot {slot}: {[process.cmdline() for process in ray_processes()]}")


def listeners() -> list[tuple[str, list[str]]]:
    """Return the addresses at which this process and its Ray take connections, and what does."""
    return [
        (connection.laddr.ip, process.cmdline()[:1])
        for process in [psutil.Process(), *ray_processes()]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]


def wait_until_gone(process: psutil.Process) -> None:
    end = time.monotonic() + ENOUGH
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, f"not gone: {process}"
        time.sleep(0.05)


class TestRelays(TrainsStages):
    """Promises of places on a cluster."""

    def test_a_worker_that_is_killed_ends_its_run_as_on_one_machine(self, subject: Subject, told: Told) -> None:
        handle, _, worker = training(subject, told)
        worker.kill()
        end = told.end_of(handle)
        assert isinstance(end, Failed)
        assert (end.kind, end.reason) == ("killed", "the worker process died (signal SIGKILL)")

    @pytest.mark.parametrize("how", ["long", "hanging"])
    def test_a_relay_that_is_killed_takes_its_worker_along_and_is_replaced(
        self, subject: Subject, told: Told, how: Behaviour
    ) -> None:
        handle, relay, worker = training(subject, told, how)
        relay.kill()
        end = told.end_of(handle)
        assert isinstance(end, Failed)
        assert (end.kind, end.reason) == ("lost", f"its relay on host {socket.gethostname()} died")
        wait_until_gone(worker)
        following = [subject.executor.submit(subject.request("quick")) for _ in range(3)]
        assert all(isinstance(told.end_of(handle), Finished) for handle in following)

    def test_a_worker_that_is_terminated_gives_its_run_back(self, subject: Subject, told: Told) -> None:
        handle, _, worker = training(subject, told)
        worker.terminate()
        end = told.end_of(handle)
        assert isinstance(end, Cancelled)
        assert end.kept
        assert end.step > 0

    def test_a_relay_has_no_torch(self, subject: Subject, told: Told) -> None:
        _, relay, worker = training(subject, told)
        assert any("libtorch" in mapped.path for mapped in worker.memory_maps())
        assert not any("libtorch" in mapped.path for mapped in relay.memory_maps())

    def test_no_secret_is_in_an_argument_or_reaches_another_process(
        self, subject: Subject, told: Told, state: Path
    ) -> None:
        token = (state / "ray.token").read_text()
        assert len(token) >= 32
        assert (state / "ray.token").stat().st_mode & 0o077 == 0
        training(subject, told)
        found = ray_processes()
        assert len(found) > 4
        for process in found:
            folder = Path(f"/proc/{process.pid}")
            assert token not in (folder / "cmdline").read_text(errors="replace")
            assert token not in (folder / "environ").read_text(errors="replace")
            assert SECRET not in (folder / "environ").read_text(errors="replace")

    def test_nothing_listens_beyond_this_machine(self, subject: Subject, told: Told) -> None:
        training(subject, told)
        found = listeners()
        assert len(found) > 4
        assert {address for address, _ in found} <= LOOPBACK, found

    def test_its_sockets_lie_in_a_folder_that_is_closed_to_others(self, subject: Subject, told: Told) -> None:
        training(subject, told)
        names = [one.laddr for process in ray_processes() for one in process.net_connections("unix")]
        found = {Path(name) for name in names if name.startswith("/")}
        assert found
        for path in found:
            assert any(folder.stat().st_mode & 0o077 == 0 for folder in path.parents), path


class TestRayExecutor(ExecutorConformance):
    """The whole suite; its last test closes the subject."""


def test_after_the_end_nothing_is_left(subject: Subject) -> None:
    subject.executor.close()
    end = time.monotonic() + ENOUGH
    while left := [process for process in ray_processes() if "ray" in " ".join(process.cmdline())]:
        assert time.monotonic() < end, left
        time.sleep(0.1)


def test_no_worker_comes_to_a_host_that_is_left_out(component: Path, state: Path, subject: Subject) -> None:  # noqa: F811
    subject.executor.close()  # a process is connected to one cluster at a time
    with started(component, state) as executor:
        told = Told(executor)
        told.until(lambda: executor._ready == {0, 1})
        assert not executor._pool.leave_out(socket.gethostname())  # no other is left
        _, worker = relay_and_worker(0)
        worker.kill()
        told.until(lambda: executor._ready == {1})
        end = time.monotonic() + 5  # a relay would be there in one
        told.until(lambda: time.monotonic() > end)
        assert len(relays()) == 1


CONNECT = """
import psutil, sys
from mta_lab.errors import UserError
from mta_lab.executors.ray.cluster import connect
try:
    cluster = connect(sys.argv[1], print)
    found = {one.laddr.ip for one in psutil.Process().net_connections("inet") if one.status == psutil.CONN_LISTEN}
    print("connected, and listens on", *found)
    cluster.close()
except UserError as error:
    print(error)
"""


def test_a_cluster_listens_on_its_interface_alone_and_takes_nobody_without_its_token(
    state: Path, subject: Subject, tmp_path: Path
) -> None:
    from mta_lab.executors.ray.cluster import start

    subject.executor.close()  # a process is connected to one cluster at a time
    mine = towards("192.0.2.1")
    cluster = start(state, cores=1, host=mine)  # not on the loopback, where Ray looks for no cluster
    found = listeners()
    assert {mine, f"::ffff:{mine}"} & {address for address, _ in found}
    assert {address for address, _ in found} <= {mine, f"::ffff:{mine}"} | LOOPBACK, found
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {"HOME": str(tmp_path)}
    tokens = {"none": {}, "another": {TOKEN: "f" * 64}, "its own": {TOKEN: (state / RAY_TOKEN).read_text()}}
    said = {}
    for name, token in tokens.items():
        command = python("-c", CONNECT, cluster.address)
        done = subprocess.run(command, env=bare | token, capture_output=True, text=True, timeout=ENOUGH, check=True)
        assert not done.stderr
        said[name] = done.stdout.strip()
    cluster.close()
    remedy = "RAY_AUTH_TOKEN_PATH names the file that holds it, by default ~/.ray/auth_token, or else results/ray.token"
    assert said == {
        "none": f"--address {cluster.address}: needs the cluster's token: {remedy}",
        "another": f"--address {cluster.address}: the cluster has another token than this process: {remedy}",
        "its own": f"connected, and listens on ::ffff:{mine}",
    }


SIZES = ("model.width=16", "model.heads=2", "model.layers=4", "model.context=16", "model.vocabulary=300")
FEW = ("training.steps=12", "training.batch_size=4", "training.warmup_steps=2", "training.validations=2")
TEXT = ("training.validation_tokens=128", "model.feed_forward_multiple=16")


def test_a_sweep_through_ray_comes_to_the_same_table_digit_for_digit(tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    sweep = ("kernel_sizes", "--seeds", "1", f"data.path={write_words(tmp_path / 'words')}", *SIZES, *FEW, *TEXT)
    found = {}
    for launcher in ("local", "ray"):
        folder = tmp_path / launcher
        folder.mkdir()
        printed(folder, "sweep", *sweep, "--workers", "2", "--launcher", launcher)
        scores, _, _ = printed(folder, "report", *sweep, "--format", "latex").partition(r"\end{tabular}")  # then times
        records = Records(folder / "results").all_finished()
        runs = {one.fingerprint: (one.score, one.domains, one.losses, one.validations) for one in records}
        found[launcher] = (scores, runs)
    assert len(found["local"][1]) == 5
    assert found["ray"] == found["local"]


def printed(folder: Path, *words: str) -> str:
    """Return what a command prints in a folder."""
    done = subprocess.run(
        [*COMMAND, *words], cwd=folder, env=environment(), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_address_where_nothing_answers_is_said_at_once() -> None:
    from mta_lab.executors.ray.cluster import connect

    with pytest.raises(UserError, match=r"--address: nothing answers at 127\.0\.0\.1:9: Connection refused"):
        connect("127.0.0.1:9", print)
    with pytest.raises(UserError, match="allowed: HOST:PORT"):
        connect("head", print)
