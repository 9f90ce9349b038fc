"""Pretended hosts reach each other and nothing else, and leave nothing behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.real.hosts import AS_ROOT, NAMESPACES, TEMPORARY, WITH_TOOLS, Host, clear_dead, hosts, inside, owners

pytestmark = [pytest.mark.real, AS_ROOT, WITH_TOOLS]
REACH = "import socket, sys; socket.create_connection((sys.argv[1], 2000), timeout=1)"
SERVE = """
import socket, sys
with socket.create_server((sys.argv[1], 2000)) as server:
    while True:
        server.accept()[0].close()
"""
LEAVE = """
import subprocess, sys
from tests.real.hosts import hosts
with hosts(1) as (host,):
    subprocess.run(host.command("sh", "-c", "sleep 1000 & sleep 0"))
    print(host.owner, flush=True)
    sys.stdin.read()
"""


def serve(host: Host, address: str) -> None:
    """Start a server on a host, and wait until it listens."""
    subprocess.Popen(host.command(sys.executable, "-c", SERVE, address))
    for _ in range(200):
        if host.listeners():
            return
        time.sleep(0.05)
    pytest.fail("no server")


def reaches(host: Host, address: str) -> bool:
    command = host.command(sys.executable, "-c", REACH, address)
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def left_of(owner: str) -> list[Path]:
    return [*NAMESPACES.glob(f"{owner}*"), *TEMPORARY.glob(f"{owner}*")]


def lives(process: int) -> bool:
    """Return whether a process runs; one that has ended may have nobody who asks how."""
    return Path(f"/proc/{process}/ns/net").exists()


def test_hosts_reach_each_other_until_a_cable_is_pulled() -> None:
    with hosts(2) as (first, second):
        serve(first, first.address)
        (listener,) = first.listeners()
        assert (listener.address, listener.port) == (first.address, 2000)
        assert "python" in listener.process
        assert not second.listeners()
        assert reaches(second, first.address)
        first.cut()
        assert not reaches(second, first.address)
        first.join()
        assert reaches(second, first.address)
        first.kill()
        assert not first.processes()
        assert not reaches(second, first.address)


def test_each_has_a_name_and_no_way_out() -> None:
    with hosts(2) as (_, second):
        said = subprocess.run(second.command("hostname"), capture_output=True, text=True, check=True).stdout
        assert said == "h1\n"
        assert not reaches(second, "127.0.0.1")
        links = subprocess.run(second.command("ip", "-o", "link"), capture_output=True, text=True, check=True).stdout
        assert sorted(line.split(": ")[1].partition("@")[0] for line in links.splitlines()) == ["e0", "lo"]


def test_nothing_is_left_at_the_end() -> None:
    with hosts(2) as (first, second):
        subprocess.run(first.command("sh", "-c", "sleep 1000 & sleep 0"), check=True)
        (sleeping,) = inside(first.namespace)
        assert second.folder.is_dir()
        assert left_of(first.owner)
    assert not left_of(first.owner)
    assert not lives(sleeping)


def test_what_a_killed_test_left_is_removed_at_the_next_start() -> None:
    test = subprocess.Popen([sys.executable, "-c", LEAVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert test.stdout
    owner = test.stdout.readline().strip()
    (sleeping,) = inside(f"{owner}.h0")
    clear_dead()
    assert owner in owners(), "its test lives"
    test.kill()
    assert test.wait() == -signal.SIGKILL
    assert left_of(owner)
    with hosts(1):
        assert not left_of(owner)
    assert not lives(sleeping)
