"""The fence between attempts at one run: the last one that was given the run may write its files.

An executor that cannot reach a worker gives its run to another; the first may still train, and so
may the orphan of a launch that was killed.
"""

from pathlib import Path
from secrets import token_hex

from mta_lab.atomic import write_whole

OWNER = "owner"  # the file, beside the checkpoints


def give(checkpoints: Path) -> str:
    """Give the run of these checkpoints to a new attempt; return the attempt's name."""
    attempt = token_hex(8)
    write_whole(checkpoints / OWNER, attempt)
    return attempt


def owns(checkpoints: Path, attempt: str) -> bool:
    """Return whether an attempt still has the run: no other was given it, and it has not ended.

    One without a name has it alone.
    """
    try:
        return not attempt or (checkpoints / OWNER).read_text(encoding="utf-8", errors="replace") == attempt
    except FileNotFoundError:
        return False
