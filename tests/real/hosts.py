"""Pretended hosts: network namespaces of this machine, joined by a switch in one of its own.

Each has an address, a default route, a host name and a folder; nothing leaves the machine. Their
names hold the process that made them: what a killed one left is removed at the next start.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

PREFIX = "mta"
NAMESPACES = Path("/run/netns")
TEMPORARY = Path(tempfile.gettempdir())
SWITCH = "switch"
MISSING = [name for name in ("ip", "ss", "nsenter", "unshare", "hostname", "curl") if not shutil.which(name)]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="pretended hosts are network namespaces: run as root")
WITH_TOOLS = pytest.mark.skipif(bool(MISSING), reason=f"pretended hosts need {', '.join(MISSING)}")
NAMED = 'hostname "$0" && exec "$@"'  # a script of sh, which is replaced by the command


@dataclass(frozen=True)
class Listener:
    """A socket that takes connections."""

    address: str
    """that it is bound to: `0.0.0.0`, `*` and `[::]` mean all"""
    port: int
    process: str
    """name and number, as `ss` prints them"""


@dataclass(frozen=True)
class Host:
    """A pretended host."""

    owner: str
    """begins the names of all hosts of a test process"""
    number: int

    @property
    def name(self) -> str:
        return f"h{self.number}"

    @property
    def namespace(self) -> str:
        return f"{self.owner}.{self.name}"

    @property
    def address(self) -> str:
        return f"10.99.0.{10 + self.number}"

    @property
    def folder(self) -> Path:
        """Its own files; short, as sockets in it may have paths of 107 characters."""
        return TEMPORARY / self.owner / self.name

    def command(self, *words: str) -> list[str]:
        """Return what runs a command on this host; it keeps the number of the process."""
        enter = ["nsenter", f"--net={NAMESPACES / self.namespace}", "unshare", "--uts"]
        return [*enter, "sh", "-c", NAMED, self.name, *words]

    def processes(self) -> list[int]:
        return inside(self.namespace)

    def kill(self) -> None:
        """Kill all its processes at once, as if its power went off."""
        empty(self.namespace)

    def cut(self) -> None:
        """Pull its cable out."""
        ip("link", "set", f"port{self.number}", "down", inside=f"{self.owner}.{SWITCH}")

    def join(self) -> None:
        """Plug its cable in again."""
        ip("link", "set", f"port{self.number}", "up", inside=f"{self.owner}.{SWITCH}")

    def listeners(self) -> list[Listener]:
        """Return what takes connections here, by TCP."""
        said = subprocess.run(
            self.command("ss", "-Hltnp"), check=True, capture_output=True, text=True, timeout=60
        ).stdout
        found = []
        for line in said.splitlines():
            _, _, _, local, _, *process = line.split(maxsplit=5)
            address, _, port = local.rpartition(":")
            found.append(Listener(address.partition("%")[0], int(port), *process or [""]))
        return found

    def beyond(self, but: Sequence[str] = ()) -> list[Listener]:
        """Return listeners on more than its own interface, but those of some programs."""
        own = {self.address, f"[::ffff:{self.address}]", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"}
        listeners = [one for one in self.listeners() if not any(name in one.process for name in but)]
        assert listeners, "nothing listens"
        return [one for one in listeners if one.address not in own]


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """So many hosts, which are gone at the end of the block with all that runs on them."""
    clear_dead()
    owner = f"{PREFIX}.{os.getpid()}.{_begun(os.getpid())}.{os.urandom(2).hex()}"
    made = [Host(owner, number) for number in range(count)]
    try:
        _wire(f"{owner}.{SWITCH}", made)
        yield made
    finally:
        _clear(owner)


def clear_dead() -> None:
    """Remove what test processes left behind that live no more."""
    for owner in owners():
        _, process, begun, _ = owner.split(".")
        if _begun(int(process)) != int(begun):
            _clear(owner)


def owners() -> set[str]:
    """Return the beginnings of the names of all namespaces and folders of pretended hosts."""
    folders = [*NAMESPACES.glob(f"{PREFIX}.*.*.*.*"), *TEMPORARY.glob(f"{PREFIX}.*.*.*")]
    return {".".join(folder.name.split(".")[:4]) for folder in folders}


def inside(namespace: str) -> list[int]:
    """Return the processes in a namespace."""
    there, found = os.stat(NAMESPACES / namespace).st_ino, []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if os.stat(process / "ns" / "net").st_ino == there:
                found.append(int(process.name))
    return sorted(found)


def empty(namespace: str) -> None:
    """Kill what is in a namespace, and what that has started meanwhile."""
    end = time.monotonic() + 60
    while processes := inside(namespace):
        assert time.monotonic() < end, f"they do not end: {processes}"
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


def ip(*words: str, inside: str | None = None) -> None:
    """Run `ip`; raise CalledProcessError with what it said."""
    where: Sequence[str] = ("-n", inside) if inside else ()
    subprocess.run(["ip", *where, *words], check=True, capture_output=True, text=True, timeout=60)


def _wire(switch: str, made: Sequence[Host]) -> None:
    ip("netns", "add", switch)
    ip("link", "add", "bridge", "type", "bridge", inside=switch)
    ip("link", "set", "bridge", "up", inside=switch)
    for host in made:
        host.folder.mkdir(parents=True)
        port, here = f"port{host.number}", host.namespace
        ip("netns", "add", here)
        ip("link", "add", "e0", "netns", here, "type", "veth", "peer", "name", port, "netns", switch)
        ip("link", "set", port, "master", "bridge", "up", inside=switch)
        ip("link", "set", "lo", "up", inside=here)
        ip("address", "add", f"{host.address}/24", "dev", "e0", inside=here)
        ip("link", "set", "e0", "up", inside=here)
        # Ray asks the kernel which address leads outside.
        ip("route", "add", "default", "via", host.address, inside=here)


def _clear(owner: str) -> None:
    """Remove the hosts of an owner: processes, namespaces, folders."""
    for namespace in sorted(NAMESPACES.glob(f"{owner}.*")):
        empty(namespace.name)
        ip("netns", "delete", namespace.name)
    shutil.rmtree(TEMPORARY / owner, ignore_errors=True)


def _begun(process: int) -> int:
    """Return when a process began, in ticks since the machine's start; 0 if there is none.

    The number of a dead process may be another's, but not with its beginning.
    """
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])
