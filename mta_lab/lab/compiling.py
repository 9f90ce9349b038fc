"""Compile the fused kernels for this machine."""

from collections.abc import Callable
from pathlib import Path

from components.kernels.cpu import build
from mta_lab.errors import UserError


def compiled(say: Callable[[str], None]) -> Path:
    """Compile the fused kernels, and return their library; `say` is told of each step.

    Raises:
        UserError: the compiler fails.
    """
    try:
        return build.build(say)
    except build.BuildError as error:
        raise UserError(f"build-kernel: {error}") from None
