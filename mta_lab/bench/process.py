"""Run functions in fresh processes, forked from a small server that has imported torch.

The server has computed nothing, so that a process starts in milliseconds and has its own peak of
memory.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch

from components.registry import ComponentError
from mta_lab.children import safe_path
from mta_lab.errors import UserError
from mta_lab.plugins import load_components, load_plugins, plugins_loaded

P = ParamSpec("P")
R = TypeVar("R")
PRELOAD = [
    "mta_lab.bench.generate",
    "mta_lab.bench.op",
    "mta_lab.bench.rows",
    "mta_lab.bench.step",
    "torch._dynamo",
]  # the last is imported by an optimizer's first step


class Laboratory:
    """Fresh processes, with `environment` (the allocator's settings) from their start.

    Each loads the user's `components` first, and sets the `variables` that libraries read later.
    """

    def __init__(
        self, environment: Mapping[str, str], components: Sequence[Path] = (), variables: Mapping[str, str] = {}
    ) -> None:
        for name, value in environment.items():  # the server inherits them; the user's own values win
            os.environ.setdefault(name, value)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._components, self._variables = components, variables

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return `function(*args, **kwargs)`, computed in a fresh process.

        Function, arguments and result must pickle. Interrupted, it ends the process.

        Raises:
            UserError: the function raised one, or the process died, perhaps for lack of memory.
        """
        ours, theirs = self._context.Pipe()
        set_up = self._components, plugins_loaded(), self._variables
        process = self._context.Process(target=_serve, args=(theirs, *set_up), daemon=True)
        with safe_path():
            process.start()
        theirs.close()
        try:
            ours.send((function, args, kwargs))
            result, mistake = ours.recv()
        except (EOFError, ConnectionError):
            process.join()
            code = process.exitcode or 0
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise UserError(
                f"bench: a measuring process died ({how}); if memory was short, choose smaller sizes"
            ) from None
        except BaseException:
            process.kill()
            process.join()
            raise
        finally:
            ours.close()
        process.join()
        if mistake is not None:
            raise UserError(mistake)
        return result  # type: ignore[no-any-return]

    def threads(self) -> int:
        """Return the number of threads that torch uses in these processes."""
        return self.call(torch.get_num_threads)


def _serve(
    connection: "Connection[Any, Any]", components: Sequence[Path], plugins: bool, variables: Mapping[str, str]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller, who is interrupted as well, ends this process
    try:
        os.environ.update(variables)
        load_components(components)
        if plugins:
            load_plugins()
        function, args, kwargs = connection.recv()  # only now: its classes may be in a component's file
        connection.send((function(*args, **kwargs), None))
    except (UserError, ComponentError) as error:
        connection.send((None, str(error)))
