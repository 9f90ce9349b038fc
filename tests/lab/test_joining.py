"""The lines of `mta-lab join` where a machine cannot join; Ray itself is not needed for them."""

import os
import socket
from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.executors.ray import node
from mta_lab.executors.ray.tokens import known_token
from mta_lab.lab import joining
from mta_lab.workspace import RAY_TOKEN, RESULTS


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user and a workspace without a token."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def said(address: str, *, head: bool = False) -> str:
    """Return the line that refuses to join."""
    with pytest.raises(UserError) as refused:
        joining.join(address, head=head, cores=None, say=pytest.fail)
    return str(refused.value)


@pytest.mark.parametrize("address", ["10.0.0.1", ":6379", "10.0.0.1:port"])
def test_a_node_needs_the_address_and_the_port_of_the_head(address: str) -> None:
    allowed = "allowed: HOST:PORT of the cluster's head, like 10.0.0.1:6379"
    assert said(address) == f"join: got '{address}', {allowed}"


def test_a_head_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "JOINING", 0.0)
    told = "join: nothing answers at 127.0.0.1:9; a head starts by `mta-lab join --head ADDRESS`"
    assert said("127.0.0.1:9") == told


@pytest.mark.parametrize("address", ["192.0.2.77", "localhost", "0.0.0.0", "", "no such host"])
def test_a_head_has_an_address_of_this_machine_that_others_reach(address: str) -> None:
    allowed = "allowed: an address of this machine that others reach"
    assert said(f"{address}:6379", head=True) == f"join --head: got '{address}', {allowed}"


def test_a_head_whose_port_is_taken_has_another_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        told = f"join --head: 127.0.0.1:{port} is taken; a port may follow the address: 127.0.0.1:6380"
        assert said(f"127.0.0.1:{port}", head=True) == told


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("Ray runtime started.\nRemaining processes will be killed.\n", "its head is gone, or gave it up"),
        ("RPC error: InvalidAuthToken: *** token\n", "the cluster at 10.0.0.1:6379 has another token: RAY_AUTH_TOKEN"),
        ("one\ntwo\n\n", "Ray does not start: two"),
        ("", "Ray does not start: exit status 1"),
    ],
)
def test_a_machine_that_is_out_of_its_cluster_says_why(printed: str, told: str) -> None:
    assert told in joining.why(node.End(told=None, status=1, printed=printed), "10.0.0.1:6379")


def test_a_node_without_a_token_says_where_it_may_lie() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert said(f"127.0.0.1:{port}") == (
            "join: needs the cluster's token: RAY_AUTH_TOKEN_PATH names the file that holds it, "
            "by default ~/.ray/auth_token, or else results/ray.token"
        )


def test_the_users_own_token_stands_above_the_workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / RESULTS / RAY_TOKEN
    assert known_token("join", make=True) == known_token("join") == {"RAY_AUTH_TOKEN_PATH": str(own)}
    assert own.stat().st_mode & 0o777 == 0o600
    users = tmp_path / "home" / ".ray" / "auth_token"
    users.parent.mkdir(parents=True)
    users.write_text("1" * 64)
    assert known_token("join", make=True) == {"RAY_AUTH_TOKEN_PATH": str(users)}
    named = tmp_path / "named"
    named.write_text("2" * 64)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(named))
    assert known_token("join") == {"RAY_AUTH_TOKEN_PATH": str(named)}
    monkeypatch.setenv("RAY_AUTH_TOKEN", "3" * 64)
    assert known_token("join") == {}
