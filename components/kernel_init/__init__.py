"""Initial values of key-query kernels, one file each."""

from components.kernel_init.base import KernelInitConfig
from components.kernel_init.identity import Identity

__all__ = ["Identity", "KernelInitConfig"]
