"""Train a worker's runs on several devices: a process for each, the ranks of a run.

The worker computes nothing itself. It starts the ranks of a run, passes on what rank 0 and the
launch tell each other, and ends all ranks as soon as one has failed or died: the others would wait
for it, on a GPU for hours.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

from mta_lab.children import python
from mta_lab.devices.visible import VISIBLE, environment_of, keys_of
from mta_lab.executors.base import Cancelled, End, Failed, RunRequest
from mta_lab.executors.local.messages import PRINTED, Message, Setup, Stop
from mta_lab.executors.local.oom import OomKills, death, oom_counter
from mta_lab.executors.local.orders import Orders
from mta_lab.results.failures import Kind

LOOK = 0.2  # seconds between two looks for orders
GRACE = 2.0  # seconds in which a rank is seen to be dead after another one has lost its connection to it
LOST: tuple[Kind, ...] = ("exception", "device")
"""the kinds of failure of a rank that has lost its connection to another"""
PROGRAM = "mta_lab.executors.local.rank_program"


@dataclass(frozen=True, kw_only=True)
class Seat:
    """A rank's number among those of its run, and how they meet."""

    rank: int
    meeting: int
    """descriptor of the file by which they find each other"""


@dataclass(frozen=True)
class _Rank:
    """The process of a rank, and the connection to it."""

    process: "subprocess.Popen[bytes]"
    connection: "Connection[Setup | Seat | RunRequest | Stop, Message]"


def train_run(
    request: RunRequest, connection: "Connection[Message, RunRequest | Stop]", setup: Setup, log: Path
) -> End:
    """Train the run of a request in its ranks, tell its progress, and return its end.

    The ranks print to `log`, as this process does.
    """
    orders, kills, printed = Orders(connection), OomKills(oom_counter()), log.stat().st_size
    with ExitStack() as stack:
        # In memory, without a name: nobody else can open it, and it goes with its processes.
        meeting = stack.enter_context(open(os.memfd_create("meeting"), "rb")).fileno()
        seats = [Seat(rank=rank, meeting=meeting) for rank in range(setup.count)]
        ranks = [stack.enter_context(_started(setup, seat)) for seat in seats]
        try:
            end = _end_of(ranks, request, connection, orders)
        except (EOFError, OSError):
            end = _dead(ranks, kills, seconds=GRACE) or _failed("killed", "a rank of the run does not answer")
        if isinstance(end, Failed) and end.kind in LOST:
            end = _dead(ranks, kills, seconds=GRACE) or end
    if isinstance(end, Cancelled) and end.kept and orders.now() is None:
        signal.raise_signal(signal.SIGTERM)  # a rank was told to end, and so is its worker, once that is said
    if isinstance(end, Failed) and not end.traceback:
        return replace(end, traceback=log.read_bytes()[printed:].decode(errors="replace")[-PRINTED:])
    return end


@contextmanager
def _started(setup: Setup, seat: Seat) -> Iterator[_Rank]:
    """Start a rank; at the end, kill it: what should be kept has been.

    Its standard input is a pipe that only this process holds: it ends with this process.
    """
    ours, theirs = Pipe()
    environment = {**os.environ, **environment_of(seat.rank, keys_of(os.environ.get(VISIBLE, "")))}
    command, end = python("-m", PROGRAM, str(theirs.fileno())), theirs.fileno()
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, pass_fds=[end, seat.meeting])
    theirs.close()
    try:
        ours.send(setup)
        ours.send(seat)
        yield _Rank(process, ours)
    finally:
        process.kill()
        process.communicate()
        ours.close()


def _end_of(
    ranks: Sequence[_Rank],
    request: RunRequest,
    connection: "Connection[Message, RunRequest | Stop]",
    orders: Orders,
) -> End:
    """Train the run; return what rank 0 came to, or what failed in another.

    Raises EOFError or OSError where a rank is gone.
    """
    for rank in ranks:
        rank.connection.send(request)
    first, told = ranks[0].connection, None
    while True:
        order = orders.now()
        if isinstance(order, Stop) and order != told:  # the ranks agree on the step to stop at
            first.send(told := order)
        ready = wait([rank.connection for rank in ranks], timeout=LOOK)
        for heard in (rank.connection for rank in ranks if rank.connection in ready):
            message = heard.recv()
            if isinstance(message, Failed) or (isinstance(message, End) and heard is first):
                return message
            if not isinstance(message, End):
                with suppress(OSError):  # the launch is gone, and the orders say what follows from that
                    connection.send(message)


def _dead(ranks: Sequence[_Rank], kills: OomKills, seconds: float) -> Failed | None:
    """Return the failure of a rank that is dead, or dies within so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for number, rank in enumerate(ranks):
            if (code := rank.process.poll()) is not None:
                kind, how = death(code, kills)
                return _failed(kind, f"rank {number} of a run on {len(ranks)} devices died ({how})")
        time.sleep(LOOK / 10)
    return None


def _failed(kind: Kind, reason: str) -> Failed:
    return Failed(kind=kind, reason=reason, traceback="")
