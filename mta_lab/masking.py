"""The one mask: whatever is printed, recorded or tracked shows `***` in place of a secret.

A secret is known by its name, by where it stands in an address or a header, by its form, or because
this process's environment holds it: then it is masked wherever it stands.
"""

import os
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import Any, TextIO
from urllib.parse import quote, unquote, urlsplit

SHORTEST = 6  # letters of a value from the environment that is masked wherever it stands

_VARIABLE = r"(?-i:(?<![A-Za-z0-9_])(?:PASS|(?:[A-Z0-9]+_)+(?:PASS|PW|PAT|KEY|JWT)))"
"""short words that name a secret only as the end of an environment variable's name"""
_CLEAR = (
    r"(?:[\w.-]*(?:password|passwd|passphrase|pwd|secret|credentials?"
    r"|(?:api|access|account|private|secret|signing)[_-]?key|(?:access|auth|bearer|refresh|session)[_-]?token)"
    rf"(?:[_-](?:id|key|value|key_base))?|{_VARIABLE})"
)
_UNCLEAR = r"(?:[\w.-]*[_.-])?(?:token|auth)(?<!per.token)(?<!multi.token)"
"""words with another meaning, too: these name a secret before `=`, in quotes, or as an option"""
_HEADERS = (
    r"(?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]*(?:token|key|secret|signature)"
    r"|(?:private|job|deploy|vault|security)-token"
)
_QUERY = (
    r"[\w.-]*(?:password|passwd|pwd|secret|token|signature|api_?key|access_?key|credential|auth)[\w.-]*|sig|key|pass"
)
_GAP = r"[^\S\n]*+"
_QUOTE = r"\\*+[\"']"
_QUOTED = rf"[bru]{{0,2}}(?P<quote>{_QUOTE})(?:(?!(?P=quote)).)*(?:(?P=quote)|$)"
_VALUE = rf"(?:{_QUOTED}|[\w.]*+\([^)\n]*\)|[^\s,;&#\"'<>)\]}}\\]+)"
_NO_NUMBER = r"(?!-?[\d.,_]+(?:e[-+]?\d+)?(?![\w-])|none\b)"  # a count of tokens is no secret


def _after(before: str, value: str) -> re.Pattern[str]:
    """Return the pattern of a secret, which follows `before` and is not masked yet."""
    return re.compile(rf"(?P<before>{before})(?!\*\*\*){value}", re.IGNORECASE | re.MULTILINE)


_PATTERNS = (
    _after(
        rf"\b(?:{_HEADERS}){_QUOTE}?{_GAP}:{_GAP}(?:(?:basic|bearer|token|digest)[^\S\n]++)?+",
        rf"(?:{_QUOTED}|[^\n\"']+)",
    ),
    _after(r"\bbearer[^\S\n]++", r"(?=\S*[\d.=_-])[\w.~+/=-]{8,}"),
    _after(rf"(?<![\w.-]){_CLEAR}{_QUOTE}?\]?{_GAP}(?:=>?(?!=)|:){_GAP}", _VALUE),
    _after(rf"(?<!\\){_QUOTE}(?:{_CLEAR}|{_HEADERS}){_QUOTE}{_GAP},{_GAP}", _VALUE),
    _after(rf"<{_CLEAR}>{_GAP}", r"[^<\n]+"),
    _after(rf"(?<![\w.-]){_UNCLEAR}{_QUOTE}?\]?{_GAP}=(?!=){_GAP}", _NO_NUMBER + _VALUE),
    _after(rf"(?<!\\){_QUOTE}{_UNCLEAR}{_QUOTE}{_GAP}:{_GAP}", _NO_NUMBER + _VALUE),
    _after(rf"(?<!\S)--?(?:{_CLEAR}|{_UNCLEAR})[^\S\n]++", rf"(?!-)(?:{_QUOTED}|\S+)"),
    _after(rf"[?&;](?:{_QUERY})=", r"[^\s&;#'\"]+"),
    _after(r"\bhooks\.slack\.com/services/", r"[\w/]+"),
    re.compile(  # forms that keys alone have
        r"(?P<before>)(?:\b(?:A[KS]IA[A-Z0-9]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|hf_[A-Za-z0-9]{20,}"
        r"|sk-[\w-]{20,}|xox[abeprs]-[\w-]{10,}|glpat-[\w-]{16,}|AIza[\w-]{30,}|dapi[0-9a-f]{32}"
        r"|xapp-[\w-]{10,}|ya29\.[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|hv[bs]\.[\w-]{20,}"
        r"|shp(?:at|ca|pa|ss)_[0-9a-f]{32}|AGE-SECRET-KEY-1[0-9A-Z]{40,}|npm_\w{30,}|pypi-[\w-]{50,}|[rs]k_(?:live|test)_\w{16,}"
        r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)(?!\w)"
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z))"
    ),
)
_LOGIN = re.compile(
    r"(?<![a-z0-9+.-])([a-z][a-z0-9+.-]*://)[^\s/?#'\"]*(?:[/?#][^\s'\"/]*)?@(?=[^\s@/]*[a-z0-9\[])", re.IGNORECASE
)
_DIRECTORIES = ("PWD", "OLDPWD")  # the shell's, not passwords
_SECRET_NAME = re.compile(rf"{_CLEAR}|{_UNCLEAR}", re.IGNORECASE)


_HELD: ContextVar[tuple[str, ...] | None] = ContextVar("held", default=None)
"""the environment's secrets within `one_environment`"""


@contextmanager
def one_environment() -> Iterator[None]:
    """Read the environment once for all texts that are masked in this context, and not for each.

    For what is printed at once: a table has ten thousand texts, and the environment is slow to
    read.
    """
    before = _HELD.set(_secrets())
    try:
        yield
    finally:
        _HELD.reset(before)


def masked(text: str) -> str:
    """Return the text with `***` in place of secrets."""
    if len(text) >= SHORTEST and not text.isspace():  # no other text holds a secret of the environment
        held = _HELD.get()
        for secret in _secrets() if held is None else held:
            text = text.replace(secret, "***")
    return _masked_by_form(text)


def _secrets() -> tuple[str, ...]:
    """Return the secrets that the environment holds now, in each form."""
    return _known(tuple(os.environ.items()))


@lru_cache(maxsize=4096)  # a table repeats its borders, blanks and values
def _masked_by_form(text: str) -> str:
    """Return the text without secrets known by their names, places or forms."""
    text = _LOGIN.sub(r"\1***@", text)
    for pattern in _PATTERNS:
        text = pattern.sub(r"\g<before>***", text)
    return text


@cache
def _known(variables: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return the secrets of an environment, in each form in which libraries print them.

    A variable is secret by its name, or as an address with a password.
    """
    found = set[str]()
    for name, value in variables:
        if _SECRET_NAME.fullmatch(name) and name not in _DIRECTORIES:
            found.add(value)
        if "@" in value and "://" in value:
            found |= _logins(value)
    forms = {form for secret in found for form in (secret, quote(secret), quote(secret, ""), unquote(secret))}
    forms |= {repr(form)[1:-1] for form in forms}
    return tuple(sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True))


def _logins(address: str) -> set[str]:
    """Return the password of an address, and both with the name as a header has them."""
    try:
        parts = urlsplit(address)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        return set()
    return {password, b64encode(f"{user}:{password}".encode()).decode()} if password else set()


class MaskedStream:
    """A text stream before another, in which no secret is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # who wrote there would pass by
            raise AttributeError(name)
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Pass on the masked text."""
        self._stream.write(masked(text))
        return len(text)
