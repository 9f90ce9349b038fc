"""Ray on pretended hosts: its head on the first, a node on each other one.

Nothing here runs `ray stop`, which would end the Ray of everybody else on this machine, too.
"""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pytest

from tests.real.hosts import AS_ROOT, WITH_TOOLS, Host, hosts
from tests.real.launches import Launch
from tests.real.test_dashboard import COMMAND

Victim = Literal["child", "relay", "node", "link"]
PORT = 6379
JOINED = "Ctrl-C ends that"  # as `mta-lab join` says that it is done
NODES = 3
WITH_RAY = pytest.mark.skipif(not find_spec("ray"), reason="Ray is missing: pip install 'mta-lab[ray]'")
NEEDED = [AS_ROOT, WITH_TOOLS, WITH_RAY]


@dataclass(frozen=True)
class Cluster:
    """A head and its nodes."""

    head: Host
    nodes: Sequence[Host]
    token: Path
    """the file with the password that all of them share"""

    @property
    def address(self) -> str:
        return f"{self.head.address}:{PORT}"

    def launched(self, folder: Path, name: str) -> Launch:
        """Launch the sweep of a folder on the head, with three workers."""
        options = ("--launcher", "ray", "--address", self.address, "--workers", "3")
        command = self.head.command(*COMMAND)
        return Launch.started(folder, name, *options, command=command, variables=self.environment)

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of all that belongs to the cluster; without a tracking store of the user's."""
        ours = ("RAY_", "MLFLOW_TRACKING_URI")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token)}
        # Ray's workers otherwise give way to all else that a busy machine does.
        return {**kept, **token, "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}

    def start_head(self) -> None:
        """Start what keeps the cluster together, and trains nothing itself."""
        self._start(self.head, "--head", self.head.address, "--cores", "0")

    def start_node(self, host: Host) -> None:
        """Start a node for one run at a time."""
        self._start(host, self.address, "--cores", "1")

    def mend(self) -> None:
        """Plug all cables in, and start each node that is gone in place of what is left of it."""
        for host in self.nodes:
            host.join()
            if not raylet(host):
                host.kill()
                self.start_node(host)

    def _start(self, host: Host, *options: str) -> None:
        """Put a host into the cluster, which it leaves when its processes end."""
        log = host.folder / "join.log"
        with log.open("wb") as out:
            joining = subprocess.Popen(
                host.command(*COMMAND, "join", *options), cwd=host.folder, env=self.environment, stdout=out, stderr=out
            )
        wait_until(lambda: JOINED in log.read_text() or joining.poll() is not None, 120, "a host joins")
        assert joining.poll() is None, log.read_text()


@contextmanager
def cluster(nodes: int = NODES) -> Iterator[Cluster]:
    """A running cluster of so many nodes, all of it gone at the end of the block."""
    with hosts(1 + nodes) as (head, *others):
        token = head.folder.parent / "token"
        with open(os.open(token, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        made = Cluster(head, others, token)
        made.start_head()
        made.mend()
        yield made


def arguments(process: int) -> list[str]:
    """Return the command line of a process; empty where it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_text(errors="replace").split("\0")
    return []


def parent(process: int) -> int:
    """Return the process that started another; 0 where it has ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def children(host: Host) -> list[int]:
    """Return the worker processes on a host: each is a relay's child, and trains."""
    return [process for process in host.processes() if any("spawn_main" in word for word in arguments(process))]


def relays(host: Host) -> list[int]:
    """Return Ray's processes on a host that have a worker process."""
    return sorted({parent(child) for child in children(host)} - {0})


def raylet(host: Host) -> int | None:
    """Return the process that makes a host a node; None where there is none."""
    found = (process for process in host.processes() if Path((arguments(process) or [""])[0]).name == "raylet")
    return next(found, None)


def strike(victim: Victim, node: Host) -> None:
    """Let something of a node fail."""
    match victim:
        case "child":
            os.kill(children(node)[0], signal.SIGKILL)
        case "relay":
            os.kill(relays(node)[0], signal.SIGKILL)
        case "node":
            node.kill()
        case "link":
            node.cut()


def wait_until(happened: Callable[[], object], seconds: float, what: str) -> float:
    """Return after how many seconds it had happened; fail after so many."""
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - begun
