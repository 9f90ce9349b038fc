"""Type on hosts, word for word, the commands of docs/clusters.md for machines over SSH and pods."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.launch.sweeps import write_words
from tests.real.cluster import JOINED, NEEDED, PORT, cluster, wait_until
from tests.real.hosts import Host, hosts
from tests.real.launches import ENOUGH, OFTEN, assert_as_in_peace, in_peace, prepared, written

pytestmark = [pytest.mark.real, *NEEDED]
PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"
SWEEP = "components --scale small"  # in the page, in place of which a sweep of these tests is launched


def blocks(title: str) -> list[str]:
    """Return the commands of a section of the page, by block."""
    _, found, rest = PAGE.read_text().partition(f"\n## {title}\n")
    assert found, f"no section '{title}'"
    return re.findall(r"```sh\n(.*?)```", rest.partition("\n## ")[0], flags=re.DOTALL)


@pytest.fixture(scope="module")
def peace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep, undisturbed, on this machine."""
    words = write_words(tmp_path_factory.mktemp("words"))
    return in_peace(written(tmp_path_factory.mktemp("peace"), words, drops=(0.1,), seeds=1, steps=60))


@pytest.fixture
def folder(tmp_path: Path, peace: Path) -> Path:
    """The shared folder, with the command that an installation would have put there."""
    command = tmp_path / "bin" / "mta-lab"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m mta_lab "$@"\n')
    command.chmod(0o755)
    return prepared(tmp_path, peace)


def surroundings(host: Host, folder: Path) -> dict[str, str]:
    """Return the variables of a shell of a host, with a home of its own.

    Compiled kernels are found as in the user's home: without them, results have other bits.
    """
    home = host.folder / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_TRACKING_URI"))}
    own = {
        "HOME": str(home),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
        "RAY_worker_niceness": "0",
    }
    return {**kept, **own}


def type_on(host: Host, folder: Path, commands: str) -> str:
    """Run commands in the shared folder by a shell of a host; return what they print."""
    log = host.folder / "typed.log"
    with log.open("wb") as out:
        ended = subprocess.run(
            host.command("sh", "-ec", commands),
            cwd=folder, env=surroundings(host, folder), stdout=out, stderr=out, timeout=ENOUGH, check=False,
        )  # fmt: skip
    assert ended.returncode == 0, log.read_text()
    return log.read_text()


@contextmanager
def typed_on(host: Host, folder: Path, command: str) -> Iterator[None]:
    """Run a command that joins a cluster in the block, to whose end Ctrl-C belongs."""
    log = host.folder / "joined.log"
    with log.open("wb") as out:
        words = host.command("sh", "-c", f"exec {command}")
        joining = subprocess.Popen(words, cwd=folder, env=surroundings(host, folder), stdout=out, stderr=out)
    wait_until(lambda: JOINED in log.read_text() or joining.poll() is not None, ENOUGH, "it has joined")
    assert joining.poll() is None, log.read_text()
    yield
    joining.send_signal(signal.SIGINT)
    assert joining.wait(timeout=ENOUGH) == 0, log.read_text()


def sweep(commands: str, address: str) -> str:
    """Return the commands with a sweep of these tests, the head's address and two workers."""
    assert SWEEP in commands
    typed = commands.replace(SWEEP, f"chaos.yaml --components {OFTEN}")
    typed = re.sub(r"--workers \d+", "--workers 2", typed)
    return typed.replace("FIRST", address).replace("HEAD", address)


def test_a_few_machines_over_ssh(folder: Path, peace: Path) -> None:
    (block,) = blocks("A few machines over SSH")
    with hosts(2) as (first, second):
        head, node, launch = sweep(block, first.address).splitlines()
        with typed_on(first, folder, head), typed_on(second, folder, node):
            assert stat.S_IMODE((folder / "results" / "ray.token").stat().st_mode) == 0o600
            said = type_on(first, folder, launch)
            assert first.beyond() == second.beyond() == []
        assert not first.processes()
        assert not second.processes()
    assert "Traceback" not in said
    assert_as_in_peace(folder, peace)


def test_a_ray_cluster_of_pods(folder: Path, peace: Path) -> None:
    (launch,) = blocks("A Ray cluster, on Kubernetes or in a cloud")
    install, *typed = launch.splitlines()
    assert install.startswith("pip install")
    commands = "\n".join(typed).replace("/shared/ablations", str(folder))
    with cluster(nodes=2) as made:
        home = made.head.folder / "home" / ".ray"
        home.mkdir(parents=True)
        shutil.copy(made.token, home / "auth_token")
        said = type_on(made.head, folder, sweep(commands, made.head.address))
    assert f"on {made.head.address}:{PORT}" in said
    assert "Traceback" not in said
    assert_as_in_peace(folder, peace)
