"""Make this machine the head of a Ray cluster of a few machines, or a node of it, without Slurm."""

import errno
import json
import os
import signal
import socket
from collections.abc import Callable
from importlib.util import find_spec
from ipaddress import IPv4Address

from mta_lab.errors import UserError
from mta_lab.executors.ray.listening import towards
from mta_lab.executors.ray.node import SYSTEM, End, answers, serve
from mta_lab.executors.ray.tokens import GUARDED, REMEDY, known_token
from mta_lab.workspace import again

PORT = "6379"  # of a head, where none is given: Ray's own
ENDS = "Ctrl-C ends that, and keeps its runs"


def join(address: str, *, head: bool, cores: int | None, say: Callable[[str], None]) -> None:
    """Be a machine of a Ray cluster until a signal comes.

    It asks for the token that `known_token` finds; a head makes this workspace's own where there is
    none.

    Args:
        address: HOST:PORT of the head; of a head, how others reach this machine: HOST or HOST:PORT.
        head: whether to be the head.
        cores: how many runs may have here; None for all.
        say: is told when it has joined, and why, where it listens on all interfaces.

    Raises:
        UserError: there is no Ray, the address is none, there is no token, or Ray ends.
    """
    host, _, port = address.partition(":")
    role: tuple[str, ...] = (f"--address={address}",)
    if head:
        port = port or PORT
        here = _own(host, port)
        role = ("--head", f"--port={port}", "--include-dashboard=false", f"--system-config={json.dumps(SYSTEM)}")
        others = again(f"mta-lab join {here}:{port}")
        joined = f"the head of a cluster; on each other machine, in this folder: {others} ({ENDS})"
    else:
        here = _towards(host, port)
        joined = f"a machine of the cluster at {address} ({ENDS})"
    room = () if cores is None else (f"--num-cpus={cores}",)
    variables = {**os.environ, **GUARDED, **known_token("join", make=head)}
    if find_spec("ray") is None:
        raise UserError("join: needs Ray: pip install 'mta-lab[ray]'")
    until = {signal.SIGINT, signal.SIGTERM}
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as it is by `nohup`
        until.add(signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, until)
    end = serve((*role, *room), here, variables, until, say, joined)
    if end.told is None:
        raise UserError(f"join: {why(end, address)}")


def why(end: End, address: str) -> str:
    """Return why a machine does not belong to its cluster any more."""
    if end.had_started:
        return (
            f"this machine is out of the cluster at {address}: its head is gone, or gave it up; the command joins again"
        )
    if "InvalidAuthToken" in end.printed:
        return f"the cluster at {address} has another token: {REMEDY}"
    lines = [line.strip() for line in end.printed.splitlines() if line.strip()]
    return f"Ray does not start: {lines[-1] if lines else f'exit status {end.status}'}"


def _own(host: str, port: str) -> str:
    """Return the address of this machine that a name stands for, and where a port is free."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a head that has ended is in nobody's way
        try:
            tried.bind((host, int(port)))
        except (OSError, ValueError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                raise UserError(
                    f"join --head: {host}:{port} is taken; a port may follow the address: {host}:6380"
                ) from None
        else:
            here = IPv4Address(tried.getsockname()[0])
            if not (here.is_loopback or here.is_unspecified):  # Debian gives a machine's own name to 127.0.1.1
                return str(here)
    raise UserError(f"join --head: got '{host}', allowed: an address of this machine that others reach")


def _towards(host: str, port: str) -> str:
    """Return the address of this machine by which it reaches a head, which must be there."""
    if not (host and port.isdecimal()):
        got = f"{host}:{port}" if port else host
        raise UserError(f"join: got '{got}', allowed: HOST:PORT of the cluster's head, like 10.0.0.1:{PORT}")
    if not answers(f"{host}:{port}"):
        raise UserError(f"join: nothing answers at {host}:{port}; a head starts by `mta-lab join --head ADDRESS`")
    return towards(host)
