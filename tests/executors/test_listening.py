"""The library that keeps Ray to one interface, on Python's own sockets, without Ray."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mta_lab.children import python
from mta_lab.executors.ray.listening import PRELOAD, confine, library, preloading, towards, without

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the library is for Linux")
WITH_COMPILER = pytest.mark.skipif(not shutil.which("cc"), reason="a C compiler is missing: apt install gcc")
HERE = "127.0.0.2"  # an address of this machine as good as any
BIND = """
import socket
for family, asked in ((socket.AF_INET, ""), (socket.AF_INET6, "::"), (socket.AF_INET, "127.0.0.1")):
    with socket.socket(family) as made:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind((asked, 0))
        print(made.getsockname()[0])
"""
CONFINED = f"""
import _socket, sys
from pathlib import Path
from mta_lab.executors.ray.listening import confine
confine(Path(sys.argv[1]), _socket.__file__, print)
{BIND}
"""


ALL_AND_ONE = [HERE, f"::ffff:{HERE}", "127.0.0.1"]
"""where sockets are that ask for all, by IPv4 and by IPv6, and for one"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = library(tmp_path_factory.mktemp("made"), HERE, pytest.fail)
    assert found
    return found


def bound(*command: str, **variables: str) -> list[str]:
    """Return the addresses that a program prints, which starts with these variables, too."""
    environment = {**os.environ, **variables}
    return subprocess.run(
        python("-c", *command), env=environment, check=True, capture_output=True, text=True
    ).stdout.split()


@WITH_COMPILER
def test_a_program_that_is_started_listens_on_one_interface_where_it_asks_for_all(made: Path) -> None:
    assert bound(BIND) == ["0.0.0.0", "::", "127.0.0.1"]
    assert bound(BIND, **preloading(made)) == ALL_AND_ONE


@WITH_COMPILER
def test_a_program_that_runs_already_has_a_library_of_it_do_so(made: Path) -> None:
    assert bound(CONFINED, str(made)) == ALL_AND_ONE


@WITH_COMPILER
def test_what_cannot_be_kept_to_an_interface_is_said(made: Path) -> None:
    said: list[str] = []
    confine(made, "/no/library.so", said.append)
    assert said == [
        "this process listens on all interfaces, and asks for the token: /no/library.so cannot be kept to one"
    ]


def test_without_a_compiler_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    said: list[str] = []
    assert library(tmp_path, HERE, said.append) is None
    (line,) = said
    assert line.startswith(f"Ray listens on all interfaces here, not on {HERE} alone, and asks for the token: ")
    assert line.endswith("needs the C compiler `cc`; on Debian: apt install gcc libc6-dev")


def test_the_loopback_needs_no_library(tmp_path: Path) -> None:
    assert library(tmp_path, "127.0.0.1", pytest.fail) is None
    assert not [*tmp_path.iterdir()]


@WITH_COMPILER
def test_it_stands_before_what_the_user_preloads_and_goes_alone(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRELOAD, "/lib/first.so:/lib/second.so")
    preload = preloading(made)[PRELOAD]
    assert preload == f"{made}:/lib/first.so:/lib/second.so"
    assert without(preload) == "/lib/first.so /lib/second.so"


def test_the_way_to_a_host_begins_at_an_address_of_this_machine() -> None:
    assert towards("127.0.0.1") == "127.0.0.1"
    with pytest.raises(OSError, match=r"Name|name|resolution"):
        towards("no such host")
