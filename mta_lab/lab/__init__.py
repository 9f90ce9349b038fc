"""The use cases of the lab: plan, launch, search, retry, sync, report, draw, pack. They print nothing.

The command line and the Python API call them. Each tells a `Display` what it does, and returns what came of it. A
module here is imported when it is first used: a command waits for the rooms that it needs, and `--help` for none.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mta_lab.lab import (
        catalogue,
        conditions,
        corpora,
        costs,
        display,
        drawing,
        elsewhere,
        evaluating,
        finished,
        frames,
        launches,
        learning_rates,
        lines,
        live,
        loaded,
        marking,
        measuring,
        opened,
        own_sweeps,
        packing,
        picture,
        plan,
        plans,
        registry,
        retries,
        searches,
        standing,
        syncing,
        tables,
        texts,
        trained,
        why,
    )


def __getattr__(name: str) -> ModuleType:
    """Import a module of this room; raise AttributeError for any other name."""
    if name.startswith("_"):  # Python's own questions, like `__path__`'s
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":  # one that the module asks for
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
