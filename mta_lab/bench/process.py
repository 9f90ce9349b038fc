"""Fresh processes to measure in: forked from a small server that has imported torch and computed nothing.

So a process starts in milliseconds, and its peak of memory is its own.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

import torch

from components.registry import ComponentError
from mta_lab.children import safe_path
from mta_lab.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")
PRELOAD = ["mta_lab.bench.op", "mta_lab.bench.step", "torch._dynamo"]  # an optimizer's first step imports the last


class Laboratory:
    """Calls functions in fresh processes, under `environment` from their first line on (the allocator's settings)."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        for name, value in environment.items():  # the server inherits them; a user's own come first
            os.environ.setdefault(name, value)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`function(*args, **kwargs)` in a process of its own; function, arguments and result must pickle.

        A UserError there is one here; a process that dies, for lack of memory perhaps, is one too.
        """
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_serve, args=(theirs, function, args, kwargs), daemon=True)
        with safe_path():
            process.start()
        theirs.close()
        try:
            result, mistake = ours.recv()
        except EOFError:
            process.join()
            code = process.exitcode or 0
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise UserError(f"bench: a measuring process died ({how})") from None
        finally:
            ours.close()
        process.join()
        if mistake is not None:
            raise UserError(mistake)
        return result  # type: ignore[no-any-return]

    def threads(self) -> int:
        """Return how many threads torch takes in its processes."""
        return self.call(torch.get_num_threads)


def _serve(connection: "Connection[Any, Any]", function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an interrupt ends it at once and quietly
    try:
        connection.send((function(*args, **kwargs), None))
    except (UserError, ComponentError) as error:
        connection.send((None, str(error)))
