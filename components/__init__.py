"""Attention variants and their parts, for ablations. Needs torch and nothing else.

The first use of a public name registers everything that ships; `components.metrics` alone needs no
torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components import (
        attention,
        evaluations,
        feed_forward,
        initialisers,
        kernel_init,
        norms,
        optimizers,
        positions,
        residual_norms,
        schedules,
        score_ops,
        tasks,
    )
    from components.kernels.substitute import set_compiled
    from components.registry import FAMILIES, Component, ComponentError, Family, register

__all__ = [
    "FAMILIES",
    "Component",
    "ComponentError",
    "Family",
    "attention",
    "evaluations",
    "feed_forward",
    "initialisers",
    "kernel_init",
    "norms",
    "optimizers",
    "positions",
    "register",
    "residual_norms",
    "schedules",
    "score_ops",
    "set_compiled",
    "tasks",
]


def __getattr__(name: str) -> Any:
    """Return a public name; raise AttributeError for any other."""
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module("components.shipped"), name)
