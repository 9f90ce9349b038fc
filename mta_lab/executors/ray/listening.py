"""Keep what Ray listens on to one interface of this machine; listen.c says why.

Processes that start have a library preloaded. In one that runs already, a notebook's too, the
library takes the place of libc's `bind` in Ray's own: to start the process anew with it would lose
what a notebook holds.
"""

import ctypes
import os
import shlex
import socket
import subprocess
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

SOURCE = Path(__file__).with_name("listen.c")
NAME = "mta-lab-listen.so"
LOOPBACK = ("127.0.0.1", "::1")
PRELOAD = "LD_PRELOAD"
INSTALL = "apt install gcc libc6-dev"


def towards(host: str) -> str:
    """Return the address of the interface by which this machine reaches a host.

    Raises:
        OSError: its name is not known, or no way leads there.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect((host, 9))  # sends nothing: the system only chooses the way
        address: str = asked.getsockname()[0]
        return address


def library(folder: Path, address: str, say: Callable[[str], None]) -> Path | None:
    """Compile the library for an interface into `folder`, which is the user's alone.

    Return None where that cannot be, which it says: Ray then listens on all interfaces. And on the
    loopback, to which Ray keeps by itself.
    """
    if address in LOOPBACK:
        return None
    try:
        return _compiled(folder, IPv4Address(address))
    except FileNotFoundError as error:
        why = f"that needs the C compiler `{error.filename}`; on Debian: {INSTALL}"
    except subprocess.CalledProcessError as error:
        why = f"that needs a C compiler with the headers of libc; on Debian: {INSTALL}; {_last_line(error.stderr)}"
    except (OSError, ValueError) as error:  # a disk from which nothing may be run, another system, IPv6
        why = str(error)
    say(f"Ray listens on all interfaces here, not on {address} alone, and asks for the token: {why}")
    return None


def preloading(made: Path | None) -> dict[str, str]:
    """Return the variables with which programs that are started keep to the interface."""
    return {PRELOAD: ":".join(filter(None, [str(made), os.environ.get(PRELOAD)]))} if made else {}


def without(preload: str) -> str:
    """Return what LD_PRELOAD holds besides the library."""
    return " ".join(one for one in preload.replace(":", " ").split() if Path(one).name != NAME)


def confine(made: Path | None, loaded: str, say: Callable[[str], None]) -> None:
    """Have the library of the file `loaded`, which this process uses, keep to the interface."""
    if made and not ctypes.CDLL(str(made)).confine(os.fsencode(loaded)):
        say(f"this process listens on all interfaces, and asks for the token: {loaded} cannot be kept to one")


def _compiled(folder: Path, address: IPv4Address) -> Path:
    made, compiler = folder / NAME, shlex.split(os.environ.get("CC", "")) or ["cc"]
    flags = ("-shared", "-fPIC", "-O2", f"-DADDRESS={int(address):#x}", "-o", str(made))
    subprocess.run([*compiler, *flags, str(SOURCE), "-ldl"], check=True, capture_output=True, text=True)
    ctypes.CDLL(str(made))  # where it cannot be loaded, programs would start without it
    return made


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]
