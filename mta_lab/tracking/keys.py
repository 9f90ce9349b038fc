"""Turn any name into a key that MLflow takes, and any text into a value."""

import re
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256

LONGEST = 250  # characters of a key
KEPT = 200  # characters kept of a key that is cut
REFUSED = re.compile(
    r"""
    [^\w/.\-\ :]             # what MLflow allows in no key
    | :(?=[0-9A-F]{2})       # what would read as an escape
    | (?:\A|(?<=/))/ | /\Z   # a slash with nothing before or after it
    | (?:\A|(?<=/))\.{1,2}(?=/|\Z) | \A\.\.  # `.` and `..`, which name another path
    """,
    re.VERBOSE,
)
ESCAPE_OR_LETTER = re.compile(r":[0-9A-F]{2}|.", re.DOTALL)


def keys(names: Iterable[str], prefix: str = "") -> dict[str, str]:
    """Return the key of each name: `prefix` and the name.

    A name that MLflow takes is kept. In any other, each character that MLflow refuses is written as
    its UTF-8 bytes: `c++` becomes `c:2B:2B`, the empty name `:00`. Where names differ in capitals
    only, which some stores do not tell apart, capitals are written so, too. A key that is too long
    is cut, and ends in its length and a hash of it.
    """
    names = [*names]
    alike = Counter(name.lower() for name in names)
    return {name: _cut(prefix + _escaped(name, capitals=alike[name.lower()] > 1)) for name in names}


def shortened(text: str, limit: int, complete: str) -> str:
    """Return a text of at most `limit` characters; a cut one ends in where it is `complete`."""
    text = text.encode(errors="backslashreplace").decode()  # a path may not be valid UTF-8
    if len(text) <= limit:
        return text
    end = f"... ({len(text)} characters; {complete} has all)"
    return text[: limit - len(end)] + end


def _escaped(name: str, *, capitals: bool) -> str:
    escaped = REFUSED.sub(lambda found: _bytes(found[0]), name)
    if capitals:
        escaped = ESCAPE_OR_LETTER.sub(lambda found: _without_capital(found[0]), escaped)
    return escaped or ":00"


def _without_capital(part: str) -> str:
    return part if part.startswith(":") or part == part.lower() else _bytes(part)


def _bytes(text: str) -> str:
    return "".join(f":{byte:02X}" for byte in text.encode(errors="surrogatepass"))


def _cut(key: str) -> str:
    if len(key) <= LONGEST:
        return key
    return f"{key[:KEPT]}.. {len(key)} characters {sha256(key.encode()).hexdigest()[:16]}"
