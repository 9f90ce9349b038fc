"""Short ways to a configuration, and a registry that is as before afterwards."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from components.registry import remembered
from mta_lab.config import Layer, RunConfig, command_line, resolve, scale_layer

SIZES = Layer(
    "sizes",
    {
        "scale": "tiny",
        "model": {"width": 64, "layers": 4, "heads": 4, "vocabulary": 512, "context": 32, "feed_forward_multiple": 64},
        "training": {
            "steps": 250,
            "batch_size": 4,
            "learning_rate": 5.0e-3,
            "warmup_steps": 25,
            "validation_tokens": 1024,
        },
    },
)
"""sizes of the tests' own, which no change of a shipped scale moves"""


def config(*settings: str, scale: str | None = None) -> RunConfig:
    """The configuration of a shipped scale, or of SIZES, under command-line settings."""
    return resolve([scale_layer(scale) if scale else SIZES, command_line(settings)])


def layered(*layers: dict[str, Any]) -> RunConfig:
    """SIZES under layers, the last one first in rank."""
    return resolve([SIZES, *(Layer(f"layer {index}", layer) for index, layer in enumerate(layers))])


@contextmanager
def registry_restored() -> Iterator[None]:
    """Forget, on leaving, what was registered and which component modules were loaded meanwhile."""
    restore, modules = remembered(), set(sys.modules)
    try:
        yield
    finally:
        restore()
        for name in set(sys.modules) - modules:
            if name.startswith("mta_lab_components_"):
                del sys.modules[name]
