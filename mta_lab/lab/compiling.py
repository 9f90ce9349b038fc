"""Compile the fused kernels for this machine."""

from collections.abc import Callable
from pathlib import Path

from components.kernels.cpu import build
from mta_lab.errors import UserError


def compiled(say: Callable[[str], None]) -> Path:
    """Compile the fused kernels, and return their library; `say` hears what is done.

    Raises UserError where the compiler refuses.
    """
    try:
        return build.build(say)
    except build.BuildError as error:
        raise UserError(f"build-kernel: {error}") from None
