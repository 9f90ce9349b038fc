"""Keep operators working in a forked child.

A fork copies the thread that asks for it alone. OpenMP, which torch and the compiled operators
share, does not know: in the child it hands work to threads that are not there, and waits for ever.
So they are ended before a fork.
"""

import ctypes
import os

import torch

SOFT = 1  # omp_pause_soft: threads end and settings stay; the next operation starts new ones, in parent and child


def end_threads_before_forks() -> None:
    """End the idle threads of whoever forks, before each fork of this process from now on."""
    pause = getattr(ctypes.CDLL(torch._C.__file__), "omp_pause_resource_all", None)
    if pause is not None:  # an OpenMP of before 5.0 has none
        os.register_at_fork(before=lambda: pause(SOFT))
