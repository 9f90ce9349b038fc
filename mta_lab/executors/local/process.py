"""The worker process: imports once, then trains the runs it is sent until it is told to stop."""

import gc
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO, cast

from mta_lab.atomic import open_log
from mta_lab.data import content
from mta_lab.errors import UserError, described, place
from mta_lab.executors.base import Cancelled, Failed, Finished, Note, Progressed, RunEvent, RunRequest
from mta_lab.executors.local.messages import Message, Ready, Stop
from mta_lab.masking import MaskedStream
from mta_lab.results.failures import kind_of

TERMINATION = {signal.SIGTERM}


def work(
    connection: "Connection[Message, RunRequest | Stop]",
    components: Sequence[Path],
    plugins: bool,
    threads: int,
    log: Path,
    texts: Mapping[Path, content.Stamps],
) -> None:
    """Serve runs from `connection` until its end; what libraries print goes to `log`.

    The launch has read the files of `texts`, and they need not be read again as long as they have
    the same stamps. Started with SIGTERM blocked, which is let in only between runs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launch decides what an interrupt means
    _print_to(log)
    content.trust(texts)
    import torch

    from mta_lab.plugins import load_components, load_plugins

    torch.set_num_threads(threads)
    load_components(components)
    if plugins:  # before a run comes: it holds what they register
        load_plugins()
    import mta_lab.training.run  # noqa: F401  imported before the first run is timed
    from mta_lab.training.memory import load_torch

    load_torch()
    gc.freeze()  # what is imported lives as long as the process: no collection during training looks at it again
    connection.send(Ready())
    while True:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TERMINATION)  # here it ends the process
        try:
            request = connection.recv()
        except (EOFError, OSError):  # the launch is gone
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, TERMINATION)
        if isinstance(request, RunRequest):  # a Stop here came too late for its run
            with suppress(OSError):
                connection.send(_run(request, connection))


def _run(request: RunRequest, connection: "Connection[Message, RunRequest | Stop]") -> RunEvent:
    from mta_lab.config import fingerprint
    from mta_lab.data import prepare
    from mta_lab.training import InterruptedRunError, Progress
    from mta_lab.training.checkpoints import Checkpoints
    from mta_lab.training.run import train

    orders = _Orders(connection)

    def tell(message: Message) -> None:
        with suppress(OSError):  # the launch is gone, and the orders say what follows from that
            connection.send(message)

    def report(progress: Progress) -> bool:
        tell(Progressed(progress=progress))
        return orders.now() == Stop()

    try:
        config = request.config
        corpus = prepare(config.data, config.model.vocabulary, request.corpus_root) if config.reads_text else None
        if fingerprint(config, corpus.content_hash if corpus else "") != request.checkpoints.name:
            raise UserError("the text or a component's code has changed since this launch began; launch it again")
        result = train(
            config,
            corpus,
            report,
            checkpoints=Checkpoints(request.checkpoints),
            weights=request.weights,
            interrupted=lambda: orders.now() == Stop(keep=True),
            say=lambda text: tell(Note(text=text)),
        )
        return Finished(result=result)
    except InterruptedRunError as error:
        return Cancelled(step=error.step, kept=True)
    except Exception as error:
        reason = f"{described(error)} ({place(error)})"
        return Failed(kind=kind_of(error), reason=reason, traceback=traceback.format_exc())


class _Orders:
    """The orders to the current run: by the launch, by SIGTERM, or by the launch being gone.

    SIGTERM is blocked and looked for, as Lightning sets a handler of its own; once the run is kept
    and that is said, it ends the process.
    """

    def __init__(self, connection: "Connection[Message, RunRequest | Stop]") -> None:
        self._connection = connection
        self._last: RunRequest | Stop | None = None

    def now(self) -> RunRequest | Stop | None:
        """Return the last one, if there is any."""
        try:
            while self._connection.poll():
                self._last = self._connection.recv()
        except (EOFError, OSError):
            return Stop(keep=True)
        return Stop(keep=True) if signal.SIGTERM in signal.sigpending() else self._last


def _print_to(log: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    with open_log(log) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # no name may end a run
    sys.stdout, sys.stderr = (cast(TextIO, MaskedStream(stream)) for stream in (sys.stdout, sys.stderr))
