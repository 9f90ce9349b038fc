"""What commands share: where corpora lie, and the console."""

import sys
from pathlib import Path

from rich.console import Console

CORPORA = Path("data")
LOG_WIDTH = 140  # characters, where there is no terminal to ask


def make_console() -> Console:
    """The console on stdout, wide enough for a table when it goes to a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else LOG_WIDTH, highlight=False, markup=False)
