"""Everything that ships, registered: importing this module loads torch."""

from components import attention, evaluations, kernel_init, norms, score_ops, tasks
from components.kernels.substitute import set_compiled
from components.registry import FAMILIES, Component, ComponentError, Family, register

__all__ = [
    "FAMILIES",
    "Component",
    "ComponentError",
    "Family",
    "attention",
    "evaluations",
    "kernel_init",
    "norms",
    "register",
    "score_ops",
    "set_compiled",
    "tasks",
]
