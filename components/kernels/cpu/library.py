"""The compiled library.

Importing this module loads it where it can be loaded, so that torch knows its operators.
"""

import torch

from components.kernels.cpu import build
from components.kernels.cpu.forks import end_threads_before_forks


def unavailable() -> str | None:
    """Return in a few words why the library is not loaded, or None where it is."""
    return _missing


def _load() -> str | None:
    try:
        torch.ops.load_library(build.checked(build.library()))  # type: ignore[no-untyped-call]
    except (OSError, build.BuildError) as error:
        return str(error)
    return None


end_threads_before_forks()
_missing = _load()
