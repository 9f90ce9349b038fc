"""Plan, launch, search, retry, sync, report, draw and pack: the use cases. They print nothing.

The command line and the Python API call them. A use case reports its steps to a `Display` and
returns its result. A module of this room is imported on first use, so that each command loads only
what it needs, and `--help` loads none.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mta_lab.lab import (
        asking,
        catalogue,
        checkpoints,
        cleaning,
        compiling,
        conditions,
        corpora,
        costs,
        diffs,
        display,
        doctor,
        drawing,
        elsewhere,
        evaluating,
        evaluations,
        evidence,
        exporting,
        extras,
        files,
        finished,
        frames,
        generating,
        gpu_checking,
        imports,
        joining,
        launchers,
        launches,
        learning_rates,
        lines,
        live,
        loaded,
        marking,
        measuring,
        noting,
        on_device,
        opened,
        own_sweeps,
        packing,
        parameters,
        passes,
        picture,
        placing,
        plan,
        plans,
        printing,
        reading,
        registry,
        requests,
        retries,
        retrofitting,
        rows,
        searches,
        simulations,
        standing,
        store,
        syncing,
        tables,
        texts,
        to_ask,
        trained,
        views,
        why,
    )


def __getattr__(name: str) -> ModuleType:
    """Import a module of this room on first use.

    Raises:
        AttributeError: this room has no such module.
    """
    if name.startswith("_"):  # names that Python itself looks up, like `__path__`
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":  # the module is there, and something that it imports is missing
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
