"""Train the runs that a worker process is sent.

Imports torch and Lightning, so only the worker process imports it.
"""

import os
import traceback
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection

import torch

from mta_lab.config import fingerprint
from mta_lab.data import Corpus, content, find
from mta_lab.devices import own
from mta_lab.devices.visible import VISIBLE, trouble
from mta_lab.errors import UserError, described, place
from mta_lab.executors import fence
from mta_lab.executors.base import Cancelled, End, Failed, Finished, Note, Progressed, RunRequest
from mta_lab.executors.installed import installed
from mta_lab.executors.local.messages import Message, Setup, Stop
from mta_lab.executors.local.orders import Orders
from mta_lab.executors.places import Place, end_of_time, host, read_nonce
from mta_lab.plugins import load_components, load_plugins
from mta_lab.provenance import here
from mta_lab.results.failures import kind_of
from mta_lab.training import GivenAwayError, InterruptedRunError, Progress, ranks
from mta_lab.training.checkpoints import Checkpoints
from mta_lab.training.run import train
from mta_lab.words import counted


def load(setup: Setup) -> None:
    """Load the user's components, and plugins if asked, before a run comes that holds them."""
    content.trust(setup.texts)
    load_components(setup.components)
    if setup.plugins:
        load_plugins()


def warm_up(threads: int) -> None:
    """Load the parts of torch that runs need, before one is timed; it has so many threads."""
    torch.set_num_threads(threads)
    own.warm_up(own.device())


def place_of(setup: Setup) -> Place:
    """Return where this process trains, or its ranks do."""
    alone = setup.count == 1  # it has a context on its GPU anyway
    return Place(
        host=host(),
        machine=own.machine() if alone else own.trains_on(),
        device=os.environ.get(VISIBLE, "0") if own.on_gpu() else "",
        threads=setup.threads,
        versions=installed(),
        ends=end_of_time(),
        nonce=read_nonce(setup.directory) if setup.directory else "",
        trouble=trouble(),
    )


def train_run(request: RunRequest, connection: "Connection[Message, RunRequest | Stop]") -> End:
    """Train the run of a request, tell its progress on `connection`, and return its end.

    Of the processes of a run on several devices, the first one tells.
    """
    orders = Orders(connection)
    owned = partial(fence.owns, request.checkpoints, request.attempt)
    checkpoints = Checkpoints(request.checkpoints, owned, request.start)

    def tell(message: Message) -> None:
        if ranks.own().rank:
            return
        with suppress(OSError):  # the launch is gone, and the orders say what follows from that
            connection.send(message)

    def report(progress: Progress) -> bool:
        tell(Progressed(progress=progress))
        return orders.now() == Stop()

    try:
        config = request.config
        corpus, parent = _found(request) if config.reads_text else None, request.start.stem if request.start else ""
        if fingerprint(config, corpus.content_hash if corpus else "", parent) != request.checkpoints.name:
            raise UserError("the text or a component's code has changed since this launch began; launch it again")
        result = train(
            config,
            corpus,
            report,
            checkpoints=checkpoints,
            weights=request.weights,
            interrupted=lambda: orders.now() == Stop(keep=True),
            say=lambda text: tell(Note(text=text)),
        )
        return Finished(result=replace(result, place={**here(), **result.place}))
    except InterruptedRunError as error:
        return Cancelled(step=error.step, kept=True)
    except GivenAwayError as error:
        return Failed(kind="lost", reason=str(error), traceback="")
    except Exception as error:
        kind, reason = kind_of(error), f"{described(error)} ({place(error)})"
        if kind == "exception" and not own.answers():
            kind = "device"
        micro_batch = checkpoints.micro_batch
        if kind == "out_of_memory" and micro_batch:
            reason += f", reading {counted(micro_batch, 'sequence')} at a time{own.peak_of_all()}"
        return Failed(kind=kind, reason=reason, traceback=traceback.format_exc(), micro_batch=micro_batch)


def _found(request: RunRequest) -> Corpus:
    """Return the text of a run, which the launch has prepared before."""
    config = request.config
    corpus = find(config.data, config.model.vocabulary, request.corpus_root)
    if corpus is None:
        where = f"host {host()} does not find it in {request.corpus_root.absolute()}"
        raise UserError(f"data: the launch has prepared the text, but {where}, which is to be on a disk that all share")
    corpus.check()
    return corpus
