"""The worker process: imports once, then trains the jobs it is sent until it is told to stop."""

import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from mta_lab.errors import described, place
from mta_lab.worker.messages import Advanced, Failed, Finished, Job, Message, Ready, Stop


def work(connection: "Connection[Message, Job | Stop]", components: Sequence[Path], threads: int, log: Path) -> None:
    """Serve jobs from `connection` until its end; what libraries print goes to `log`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launch decides what an interrupt means
    _print_to(log)
    import torch

    from mta_lab.plugins import load_components

    torch.set_num_threads(threads)
    load_components(components)
    import mta_lab.training.run  # noqa: F401  imported before the first job is timed
    from mta_lab.training.memory import load_torch

    load_torch()
    gc.freeze()  # what is imported lives as long as the process: no collection during training looks at it again
    connection.send(Ready())
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        if isinstance(job, Job):  # a Stop here came too late for its run
            connection.send(_run(job, connection))


def _run(job: Job, connection: "Connection[Message, Job | Stop]") -> Finished | Failed:
    from mta_lab.data import prepare
    from mta_lab.training import Progress
    from mta_lab.training.run import train

    def report(progress: Progress) -> bool:
        connection.send(Advanced(progress=progress))
        return connection.poll() and isinstance(connection.recv(), Stop)

    try:
        config = job.config
        corpus = prepare(config.data, config.model.vocabulary, job.corpus_root) if config.reads_text else None
        return Finished(result=train(config, corpus, report))
    except Exception as error:
        return Failed(reason=f"{described(error)} ({place(error)})", traceback=traceback.format_exc())


def _print_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
