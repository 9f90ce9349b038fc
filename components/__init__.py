"""What an ablation varies: attention variants and the parts they are made of.

Importing this package registers everything that ships with it. It needs torch and nothing else.
"""

from components import attention, kernel_init, norms, score_ops, tasks
from components.kernels.substitute import set_compiled
from components.registry import FAMILIES, Component, ComponentError, Family, register

__all__ = [
    "FAMILIES",
    "Component",
    "ComponentError",
    "Family",
    "attention",
    "kernel_init",
    "norms",
    "register",
    "score_ops",
    "set_compiled",
    "tasks",
]
