"""Compute in a process of its own where there is a GPU, so that this one needs no CUDA context."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from mta_lab.children import safe_path
from mta_lab.devices.visible import gpus
from mta_lab.errors import UserError
from mta_lab.plugins import load_components, load_plugins, plugins_loaded

P = ParamSpec("P")
R = TypeVar("R")


class Call(Protocol):
    """A call of a function where runs train: in a child that has the GPU, or here on the CPU."""

    def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the function returns; in a child, all of it must pickle."""


@contextmanager
def computing(components: Sequence[Path] = ()) -> Iterator[Call]:
    """Yield a call of functions on the device that trains, whose memory is free again at the end.

    Args:
        components: files and folders of the user's components, which a child loads first.

    Raises:
        UserError: the child died.
    """
    if not gpus():
        yield _here
        return
    set_up = tuple(components), plugins_loaded()
    spawning = multiprocessing.get_context("spawn")
    with safe_path(), ProcessPoolExecutor(1, mp_context=spawning, initializer=_set_up, initargs=set_up) as pool:

        def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return pool.submit(function, *args, **kwargs).result()
            except BrokenProcessPool:
                remedy = "its memory may be full: `nvidia-smi` says of what"
                raise UserError(f"a process that measures on the GPU died; {remedy}") from None

        yield call


def _here(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    return function(*args, **kwargs)


def _set_up(components: Sequence[Path], plugins: bool) -> None:
    load_components(components)
    if plugins:
        load_plugins()
