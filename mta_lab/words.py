"""Numbers in sentences: how many of a thing, and how long something takes."""

import re
from collections.abc import Iterable, Sequence

from mta_lab.errors import UserError

UNITS = {"h": 3600, "m": 60, "s": 1}
DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, given in the singular: `1 run`, `2 runs`, `1,024 runs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def counted_are(number: int, noun: str) -> str:
    """Return a number with its noun and the verb that follows it: `1 run is`, `2 runs are`."""
    return f"{counted(number, noun)} {'is' if number == 1 else 'are'}"


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them: `3`, `3 and 6`, `3, 6 and 12`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def named(names: Iterable[str]) -> str:
    """Return names in a row, in quotes where one of them has a comma: `a, b`, `'a', 'a, b'`."""
    several = list(names)
    return ", ".join(f"'{name}'" if any("," in each for each in several) else name for name in several)


def duration(seconds: float) -> str:
    """Return a time in a unit that suits it: `1.5 s`, `42 s`, `7.5 min`, `3.2 h`, `4.0 days`."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    for unit, length, most in (("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < most:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def parse_duration(text: str, option: str) -> float:
    """Return the seconds of `45m`, `1h30m` or `90s`; raise UserError, with `option`, for others."""
    match = DURATION.fullmatch(text.strip())
    seconds = sum(float(n) * unit for n, unit in zip(match.groups(), UNITS.values(), strict=True) if n) if match else 0
    if not seconds:
        raise UserError(f"{option}: got '{text}', allowed: a time like 45m, 1h30m or 90s")
    return seconds
