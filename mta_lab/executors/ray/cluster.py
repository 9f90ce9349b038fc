"""Connect to a Ray cluster, or start one that ends with this process."""

import math
import os
import secrets
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

from mta_lab.atomic import replacing
from mta_lab.children import ROOT, variables
from mta_lab.devices.visible import VISIBLE
from mta_lab.errors import UserError, described
from mta_lab.executors.ray.engine import constants, exceptions, ray
from mta_lab.executors.ray.folder import Folder
from mta_lab.workspace import RAY_TOKEN

TOKEN_PATH, TOKEN = "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN"
LOOPBACK = "127.0.0.1"
LOOK = 0.5  # seconds between two looks for a node
PATIENCE = 5.0  # seconds without a node after which that is said
STORE = 80_000_000  # bytes of the object store, about the least that Ray takes: no message is large
REMEDY = f"{TOKEN_PATH} names the file that holds it, by default ~/.ray/auth_token"
SECRETS = "MLFLOW_TRACKING_"  # begins the variables that only the driver needs
SYSTEM = {
    # A node that is dead, or cut off, is given up within 15 s; by default that takes a minute.
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 2000,
    "health_check_timeout_ms": 3000,
    "health_check_failure_threshold": 3,
    # The kernel decides whom it kills for lack of memory, and a worker's end says so.
    "memory_monitor_refresh_ms": 0,
    "enable_metrics_collection": False,
}
"""settings of a cluster that is started here, which its head hands to each node"""
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


def connect(address: str) -> Cluster:
    """Connect to the cluster whose head listens at `address`, as HOST:PORT.

    Its token is the user's: in RAY_AUTH_TOKEN, in the file of RAY_AUTH_TOKEN_PATH, or in
    ~/.ray/auth_token.

    Raises:
        UserError: nothing listens there, or it refuses this process.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise UserError(f"--address: got '{address}', allowed: HOST:PORT, like 10.0.0.1:6379")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()  # Ray itself would try for 20 s
    except OSError as error:
        raise UserError(f"--address: nothing answers at {address}: {error.strerror or error}") from None
    constants.ENABLE_RAY_CLUSTER = True
    _init(f"--address {address}", address=address)
    return Cluster(address)


def start(state: Path, *, cores: int, devices: Sequence[str] = (), host: str = LOOPBACK) -> Cluster:
    """Start the head of a cluster on this machine, whose processes end with this one.

    Args:
        state: the folder of the token, which is this workspace's own.
        cores: what workers here may have of this machine; 0 where it is only the head.
        devices: GPUs that they may have, as in CUDA_VISIBLE_DEVICES.
        host: the address of the interface on which other machines reach it.

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
        with variables({**hidden, **chosen}):
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


def own_token(state: Path) -> Path:
    """Return the file of this workspace's token; written on first use, for its owner only.

    Ray writes its own in the home directory, for everybody to read.
    """
    file = state.absolute() / RAY_TOKEN
    if not file.exists() or file.stat().st_mode & 0o077:  # copied, and others may have read it
        with replacing(file, private=True) as written:
            written.write(secrets.token_hex(32).encode())
    return file


def module_path() -> str:
    """Return the PYTHONPATH of relays: this process's own, and where this package lies."""
    named = [os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if ROOT not in [*named, sysconfig.get_paths()["purelib"]]:  # installed packages are found as it is
        named.append(ROOT)
    return os.pathsep.join(named)


def _init(asked: str, **options: Any) -> None:
    if ray.is_initialized():
        raise UserError(f"{asked}: this process is connected to Ray already; `ray.shutdown()` ends that")
    said: list[str] = []
    try:
        with _hushed(said):
            ray.init(**options, **QUIET, runtime_env={"env_vars": {"PYTHONPATH": module_path()}})
    except exceptions.AuthenticationError:
        raise UserError(f"{asked}: needs the cluster's token: {REMEDY}") from None
    except (ConnectionError, OSError, RuntimeError, ValueError, exceptions.RayError) as error:
        if "InvalidAuthToken" in "".join(said):
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
