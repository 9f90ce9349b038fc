"""Connect to a Ray cluster, or start one that ends with this process."""

import math
import os
import socket
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mta_lab.children import ROOT, variables
from mta_lab.devices.visible import VISIBLE
from mta_lab.errors import UserError, described
from mta_lab.executors.ray import listening
from mta_lab.executors.ray.engine import COMPILED, address_here, constants, exceptions, ray
from mta_lab.executors.ray.folder import PREFIX, Folder
from mta_lab.executors.ray.node import STORE, SYSTEM
from mta_lab.executors.ray.tokens import REMEDY, TOKEN, TOKEN_PATH, known_token, own_token

LOOPBACK = "127.0.0.1"
LOOK = 0.5  # seconds between two looks for a node
PATIENCE = 5.0  # seconds without a node after which that is said
SECRETS = "MLFLOW_TRACKING_"  # begins the variables that only the driver needs
QUIET: Mapping[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}  # Ray's own lines would flood the table


class Cluster:
    """The connection of this process to a Ray cluster."""

    def __init__(self, address: str, folder: Folder | None = None) -> None:
        """Keep what is needed at its end: the temporary `folder` of a head started here."""
        self.address = address
        self._folder = folder

    def close(self) -> None:
        """Disconnect; where the head was started here, its processes end.

        Never `ray stop`: it ends each Ray process of the user on this machine, other people's on a
        shared account.
        """
        ray.shutdown()
        if self._folder:
            self._folder.remove()
            self._folder = None


def connect(address: str, say: Callable[[str], None]) -> Cluster:
    """Connect to the cluster whose head listens at `address`, as HOST:PORT.

    This process listens on the interface of the cluster's node on this machine alone. Where that
    cannot be, it says why.

    Raises:
        UserError: nothing listens there, its token is not known (see `known_token`), or it refuses
            this process.
    """
    asked = f"--address {address}"
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise UserError(f"--address: got '{address}', allowed: HOST:PORT, like 10.0.0.1:6379")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()  # Ray itself would try for 20 s
    except OSError as error:
        raise UserError(f"--address: nothing answers at {address}: {error.strerror or error}") from None
    os.environ.update(known_token(asked))
    constants.ENABLE_RAY_CLUSTER = True
    with _refused(asked):
        here = address_here(address)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        listening.confine(listening.library(Path(folder), here, say), COMPILED, say)
    _init(asked, address=address)
    return Cluster(address)


def start(
    state: Path,
    *,
    cores: int,
    devices: Sequence[str] = (),
    host: str = LOOPBACK,
    say: Callable[[str], None] = print,
) -> Cluster:
    """Start the head of a cluster on this machine, whose processes end with this one.

    Args:
        state: the folder of the token, which is this workspace's own.
        cores: what workers here may have of this machine; 0 where it is only the head.
        devices: GPUs that they may have, as in CUDA_VISIBLE_DEVICES.
        host: the address of the interface on which other machines reach it; it listens there alone.
        say: is told why, where that cannot be.

    Raises:
        UserError: Ray does not start.
    """
    os.environ[TOKEN_PATH] = str(own_token(state))
    os.environ.pop(TOKEN, None)  # it would win over the file
    folder = Folder()
    # On Linux it puts the address of an interface in the place of this one, and listens on all of
    # them. It spares other systems that, whose firewalls would ask the user: so it can do without.
    constants.ENABLE_RAY_CLUSTER = host != LOOPBACK
    chosen = {constants.ENABLE_RAY_CLUSTERS_ENV_VAR: str(int(host != LOOPBACK))}
    chosen |= {VISIBLE: ",".join(devices)} if devices else {}
    hidden = dict.fromkeys(name for name in os.environ if name.startswith(SECRETS))
    try:
        library = listening.library(folder.path, host, say)
        listening.confine(library, COMPILED, say)
        with variables({**hidden, **chosen, **listening.preloading(library)}):
            _init(
                "--launcher ray",
                address="local",  # or else Ray looks for one that runs here, anybody's
                num_cpus=cores,
                num_gpus=len(devices),
                object_store_memory=STORE,
                include_dashboard=False,
                _node_ip_address=host,
                _temp_dir=str(folder.path / "r"),  # which Ray opens to all users
                _system_config=SYSTEM,
            )
    except BaseException:
        folder.remove()
        raise
    return Cluster(ray.get_runtime_context().gcs_address, folder)


@dataclass(frozen=True)
class Node:
    """A machine of the cluster that can train."""

    id: str
    host: str
    """its name in its network"""
    address: str
    resources: Mapping[str, float]
    """like {"CPU": 8.0, "GPU": 1.0}"""


def nodes() -> list[Node]:
    """Return the machines of the cluster that are there and can train."""
    return [
        Node(one["NodeID"], one["NodeManagerHostname"], one["NodeManagerAddress"], one["Resources"])
        for one in ray.nodes()
        if one["Alive"] and one["Resources"].get("CPU")  # a head alone has none
    ]


def first_node(say: Callable[[str], None]) -> Mapping[str, float]:
    """Wait for a node that can train, and return what it has."""
    said = time.monotonic() + PATIENCE
    while not (found := nodes()):
        if time.monotonic() > said:
            said = math.inf
            say("waiting for the cluster's first node; runs start with it")
        time.sleep(LOOK)
    return found[0].resources


def module_path() -> str:
    """Return the PYTHONPATH of relays: this process's own, and where this package lies."""
    named = [os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if ROOT not in [*named, sysconfig.get_paths()["purelib"]]:  # installed packages are found as it is
        named.append(ROOT)
    return os.pathsep.join(named)


def _init(asked: str, **options: Any) -> None:
    with _refused(asked):
        ray.init(**options, **QUIET, runtime_env={"env_vars": {"PYTHONPATH": module_path()}})


@contextmanager
def _refused(asked: str) -> Iterator[None]:
    """Turn what Ray refuses meanwhile into one line, and keep the rest of what it says away."""
    if ray.is_initialized():
        raise UserError(f"{asked}: this process is connected to Ray already; `ray.shutdown()` ends that")
    said: list[str] = []
    try:
        with _hushed(said):
            yield
    except (ConnectionError, OSError, RuntimeError, ValueError, exceptions.RayError) as error:
        if isinstance(error, exceptions.AuthenticationError) or "InvalidAuthToken" in "".join(said):
            raise UserError(f"{asked}: the cluster has another token than this process: {REMEDY}") from None
        raise UserError(f"{asked}: Ray refuses: {described(error)}") from None


@contextmanager
def _hushed(said: list[str]) -> Iterator[None]:
    """Keep from the terminal what Ray's core prints there; at the end, it is in `said`."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            said.append(os.pread(file.fileno(), 1 << 20, 0).decode(errors="replace"))
