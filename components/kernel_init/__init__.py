"""Initial values of key-query kernels, one file each."""

from components.kernel_init.base import KernelInitConfig
from components.kernel_init.constant import Constant
from components.kernel_init.diagonal import Diagonal
from components.kernel_init.identity import Identity
from components.kernel_init.normal import Normal
from components.kernel_init.uniform import Uniform
from components.kernel_init.zero import Zero

__all__ = ["Constant", "Diagonal", "Identity", "KernelInitConfig", "Normal", "Uniform", "Zero"]
