"""The one exception for a user's mistake or a condition only the user can mend.

The command line prints its message on one line and exits with 2, without a traceback.
"""

import difflib
import traceback
from collections.abc import Iterable

from mta_lab.masking import masked


class UserError(Exception):
    """Where, what was given, what is allowed: one line, no traceback."""


def described(error: BaseException) -> str:
    """Return an exception as one line: its type and its message's first line, secrets masked."""
    try:
        said = str(error)
    except Exception:  # of a class whose own code fails
        said = "it cannot say more"
    return masked(f"{type(error).__name__}: {said}".splitlines()[0])


def place(error: BaseException) -> str:
    """Return where an exception was raised, as `file:line`."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"


def nearest(given: str, allowed: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest allowed name, or an empty string."""
    close = difflib.get_close_matches(str(given), list(allowed), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""
