"""The worker process: imports once, then trains the runs it is sent until it is told to stop."""

import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO, cast

from mta_lab.atomic import open_log
from mta_lab.executors.base import End, Failed, RunRequest
from mta_lab.executors.local.messages import Message, Ready, Setup, Stop
from mta_lab.masking import MaskedStream

TERMINATION = {signal.SIGTERM}
TrainRun = Callable[[RunRequest, "Connection[Message, RunRequest | Stop]"], End]


def work(connection: "Connection[Message, RunRequest | Stop]", setup: Setup, log: Path) -> None:
    """Serve runs from `connection` until its end; what libraries print goes to `log`.

    Started with SIGTERM blocked, which is let in only between runs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launch decides what an interrupt means
    _print_to(log)
    from mta_lab.executors.local import ranks, trainer  # noqa: PLC0415  slow: the log takes what its libraries print

    trainer.load(setup)
    if setup.count > 1:
        train_run: TrainRun = partial(ranks.train_run, setup=setup, log=log)
    else:
        trainer.warm_up(setup.threads)
        train_run = trainer.train_run
    gc.freeze()  # what is imported lives as long as the process: no collection during training looks at it again
    connection.send(Ready(place=trainer.place_of(setup)))
    while True:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TERMINATION)  # here it ends the process
        try:
            request = connection.recv()
        except (EOFError, OSError):  # the launch is gone
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, TERMINATION)
        if isinstance(request, RunRequest):  # a Stop here came too late for its run
            end = train_run(request, connection)
            with suppress(OSError):
                connection.send(end)
            if isinstance(end, Failed) and end.kind == "device":
                os._exit(1)  # the device refuses this process from now on, and its libraries may hang at an exit


def _print_to(log: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    with open_log(log) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    mask_output()


def mask_output() -> None:
    """Mask secrets in what this process prints from now on."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # no name may end a run
    sys.stdout, sys.stderr = (cast(TextIO, MaskedStream(stream)) for stream in (sys.stdout, sys.stderr))
