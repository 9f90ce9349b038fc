"""The one exception for a user's mistake or a condition only the user can mend.

The command line prints its message on one line and exits with 2, without a traceback.
"""

import difflib
import traceback
from collections.abc import Iterable

from mta_lab.masking import masked


class UserError(Exception):
    """A mistake of a user, in one line: where, what was given, what is allowed; no traceback."""


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
    """Return `; did you mean 'x'?` for the closest allowed name, or an empty string.

    Of `section.name`, the name is compared with those of that section: the section alone would make
    all of them close. Initials are close: `training.lr` is `training.learning_rate`.
    """
    names, (section, dot, last) = list(allowed), str(given).rpartition(".")
    ends = {name.removeprefix(section + dot): name for name in names if dot and name.startswith(section + dot)}
    ends |= {name.rpartition(".")[2]: name for name in names if dot and name.endswith(dot + last)}
    if not ends:
        ends, last = dict(zip(names, names, strict=True)), str(given)
    short = [end for end in ends if "_" in end and "".join(word[:1] for word in end.split("_")) == last]
    close = short or difflib.get_close_matches(last, ends, n=1, cutoff=0.5)
    return f"; did you mean '{ends[close[0]]}'?" if close else ""
