"""A sweep on a Ray cluster of pretended hosts, of which one thing after the other fails.

Each ends with every run once, and with the numbers that the sweep has on this machine, to the bit.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.executors.ray.listening import NAME
from mta_lab.training.checkpoints import PATTERN
from tests.launch.sweeps import write_words
from tests.real.cluster import NEEDED, Cluster, Victim, arguments, children, cluster, raylet, strike, wait_until
from tests.real.hosts import Host
from tests.real.launches import ENOUGH, Launch, assert_as_in_peace, in_peace, prepared, written

Launches = Callable[..., Launch]
pytestmark = [pytest.mark.real, *NEEDED]
PROMISED: Mapping[Victim, float] = {"child": 2.0, "relay": 2.0, "node": 5.0, "link": 20.0}
"""seconds after which a free machine knows"""
AS_GRPC = ("-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@-")
CALLS = (
    "InternalKVGcsService/InternalKVKeys",
    "NodeManagerService/GetSystemConfig",
    "ObjectManagerService/Pull",
    "CoreWorkerService/PushTask",
)
EMPTY = bytes(5)  # a message of no length, not compressed
UNAUTHENTICATED, UNKNOWN_CALL, RESET = "16", "12", ""
BUSY = 3.0  # times as long on one with other work


@pytest.fixture(scope="module")
def peace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep, undisturbed, on this machine."""
    words = write_words(tmp_path_factory.mktemp("words"))
    return in_peace(written(tmp_path_factory.mktemp("peace"), words, drops=(0.1,), seeds=3, steps=200))


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    """A cluster of three nodes for all tests."""
    with cluster() as made:
        yield made


@pytest.fixture
def whole(shared: Cluster) -> Cluster:
    """The cluster, with all its nodes."""
    shared.mend()
    return shared


@pytest.fixture
def folder(tmp_path: Path, peace: Path) -> Path:
    return prepared(tmp_path, peace)


@pytest.fixture
def launch(whole: Cluster, folder: Path) -> Iterator[Launches]:
    """Launch the sweep on the head, under a name; what still runs at the test's end is killed."""
    launches: list[Launch] = []

    def started(name: str = "launch", where: Cluster = whole) -> Launch:
        launches.append(where.launched(folder, name))
        return launches[-1]

    yield started
    for one in launches:
        one.end()


def training(where: Cluster, started: Launch, nodes: int) -> list[Host]:
    """Wait until so many nodes train, and have kept what they train; return them."""
    found: list[Host] = []

    def look() -> bool:
        assert started.process.poll() is None, started.said()
        files = started.folder.glob(f"results/checkpoints/*/{PATTERN}")
        kept = {file.parent.name for file in files if int(file.stem)}  # not the state at step 0 alone
        busy = {one.host for one in started.busy() if one.fingerprint in kept}
        found[:] = [node for node in where.nodes if node.name in busy]
        return len(found) >= nodes

    wait_until(look, ENOUGH, f"{nodes} nodes train")
    return found


def refuses(host: Host, port: int) -> bool:
    """Return whether a server of Ray refuses calls without the token, of those that it knows."""
    statuses = set()
    for call in CALLS:
        command = ["curl", "-s", "-m", "20", "--http2-prior-knowledge", "-D", "-", "-o", "/dev/null", *AS_GRPC]
        said = subprocess.run(
            host.command(*command, f"http://{host.address}:{port}/ray.rpc.{call}"),
            input=EMPTY, capture_output=True, check=False,
        ).stdout.decode()  # fmt: skip
        statuses.add(said.partition("grpc-status: ")[2].partition("\r")[0])
    return UNAUTHENTICATED in statuses and statuses <= {UNAUTHENTICATED, UNKNOWN_CALL, RESET}


def test_an_undisturbed_sweep_is_what_it_is_on_this_machine(
    whole: Cluster, launch: Launches, folder: Path, peace: Path
) -> None:
    launch().wait(ENOUGH)
    assert_as_in_peace(folder, peace)
    assert not [child for node in whole.nodes for child in children(node)]


@pytest.mark.parametrize("victim", PROMISED)
def test_what_fails_is_seen_and_its_run_goes_on_elsewhere(
    victim: Victim, whole: Cluster, launch: Launches, folder: Path, peace: Path
) -> None:
    started = launch()
    node = training(whole, started, 1)[0]
    before = started.tried_again()
    strike(victim, node)
    seen = wait_until(lambda: started.tried_again() > before, BUSY * PROMISED[victim], f"the {victim}'s end is told")
    print(f"{victim}: seen after {seen:.1f} s")
    if victim == "link":
        node.join()
        wait_until(lambda: not children(node), 60, "a node that was given up ends what it trains")
    started.wait(ENOUGH)
    assert started.resumed()
    assert_as_in_peace(folder, peace)


def test_a_machine_that_leaves_by_ctrl_c_keeps_its_runs(
    whole: Cluster, launch: Launches, folder: Path, peace: Path
) -> None:
    started = launch()
    node = training(whole, started, 1)[0]
    (joining,) = [process for process in node.processes() if "mta_lab" in arguments(process)]
    os.kill(joining, signal.SIGINT)
    wait_until(lambda: not node.processes(), ENOUGH, "it has left")
    started.wait(ENOUGH)
    assert started.resumed()
    assert "tried again" not in started.said(), "its run had been kept"
    assert_as_in_peace(folder, peace)


def test_a_launch_that_is_interrupted_goes_on_later(
    whole: Cluster, launch: Launches, folder: Path, peace: Path
) -> None:
    first = launch("first")
    training(whole, first, 1)
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(timeout=60) == 130, first.said()
    wait_until(lambda: not any(map(children, whole.nodes)), 20, "no worker outlives its launch")
    second = launch("second")
    second.wait(ENOUGH)
    assert second.resumed()
    assert_as_in_peace(folder, peace)


def test_a_launch_that_is_killed_goes_on_at_once(whole: Cluster, launch: Launches, folder: Path, peace: Path) -> None:
    first = launch("first")
    training(whole, first, 1)
    first.end()
    second = launch("second")
    second.wait(ENOUGH)
    assert second.resumed()
    assert_as_in_peace(folder, peace)
    wait_until(lambda: not any(map(children, whole.nodes)), 20, "no worker outlives its launch")


def test_a_node_that_joins_late_takes_runs(whole: Cluster, launch: Launches, folder: Path, peace: Path) -> None:
    first, *late = whole.nodes
    for node in late:
        node.kill()
    started = launch()
    assert training(whole, started, 1) == [first]
    whole.start_node(late[0])
    assert training(whole, started, 2) == [first, late[0]]
    started.wait(ENOUGH)
    assert_as_in_peace(folder, peace)


def test_another_clusters_token_is_refused(whole: Cluster, launch: Launches, folder: Path) -> None:
    wrong = folder / "token"
    wrong.write_text("0" * 64)
    wrong.chmod(0o600)
    started = launch(where=replace(whole, token=wrong))
    assert started.process.wait(timeout=ENOUGH) == 2
    assert "the cluster has another token than this process" in started.said().splitlines()[-1]
    assert "Traceback" not in started.said()


def test_nothing_listens_beyond_the_named_interface_or_tells_the_token(
    whole: Cluster, launch: Launches, folder: Path, peace: Path
) -> None:
    """The driver is on the head's host; and each server asks for the token, too."""
    started = launch()
    training(whole, started, 1)
    secret = whole.token.read_text()
    for host in (whole.head, *whole.nodes):
        assert not host.beyond()
        servers = [one.port for one in host.listeners() if one.address == f"[::ffff:{host.address}]"]
        assert servers
        assert [port for port in servers if not refuses(host, port)] == []
        for child in children(host):
            assert NAME not in Path(f"/proc/{child}/environ").read_text(), "what trains needs no library for servers"
        for process in host.processes():
            for told in ("cmdline", "environ"):
                assert secret not in Path(f"/proc/{process}/{told}").read_text(errors="replace"), process
    for file in (*whole.token.parent.rglob("*"), *folder.rglob("*")):
        if file.is_file() and file != whole.token:
            assert secret.encode() not in file.read_bytes(), file
    assert whole.token.stat().st_mode & 0o777 == 0o600
    started.wait(ENOUGH)
    assert_as_in_peace(folder, peace)


def test_nothing_is_left_when_a_cluster_ends() -> None:
    with cluster(nodes=1) as made:
        (node,) = made.nodes
        assert raylet(node)
        processes = [*made.head.processes(), *node.processes()]
        folders = made.token.parent
    assert not folders.exists()
    said = subprocess.run(["ps", "-o", "args=", *map(str, processes)], capture_output=True, text=True, check=False)
    assert not [line for line in said.stdout.splitlines() if "defunct" not in line]
