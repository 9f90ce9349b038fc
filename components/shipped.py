"""Registers everything that ships: importing this module loads torch.

`components` names what is public of it.
"""

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
