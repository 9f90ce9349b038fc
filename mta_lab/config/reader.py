"""Read YAML 1.2: sweep files, scales, the ledger and values on the command line are all read here.

A key is the text that was written. A plain value is a number in decimal digits, `true`, `false`,
`null`, or else text: `off`, `010` and `1:30` are texts, and a setting that wants a number refuses
them. An empty value and `~` are NOTHING. Refused, with their lines: a key that stands twice in a
mapping, a tag, anchors that multiply without bound.
"""

import re
from collections.abc import Collection, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from mta_lab.errors import UserError
from mta_lab.strict import FaultError, content, shortened

MOST = 1 << 23  # bytes of a file
COPIES = 100_000  # values that anchors may add to a document
MERGE = "<<"  # a mapping whose keys hold where the mapping at hand does not set them
WORDS = {"true": True, "false": False, "null": None}
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
REAL = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.inf|\.nan")


class Nothing(Enum):
    """The type of NOTHING."""

    NOTHING = "nothing"

    def __repr__(self) -> str:
        return self.value

    def __bool__(self) -> bool:
        return False


NOTHING = Nothing.NOTHING
"""an empty value, or `~`; `null` in full is None"""


class _ReadError(Exception):
    """A mistake in a document, with its line."""

    def __init__(self, event: Any, message: str) -> None:
        super().__init__(f"line {_line(event)}: {message}")


def read_yaml(path: Any, source: str, texts: Collection[str] = ()) -> dict[str, Any]:
    """Return the mapping in a YAML file, an empty one for an empty file.

    What stands behind the keys `texts` is a text as it was written, `1e-3` too. Raises UserError,
    which calls the file `source`, for anything but a mapping.
    """
    try:
        value = _Document(content(Path(str(path)), MOST).decode("utf-8-sig"), texts).value
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror}") from None
    except FaultError as error:
        raise UserError(f"{source}: cannot be read: {error}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: not a YAML file that can be read: byte {error.start} is not UTF-8") from None
    except (_ReadError, YAMLError, RecursionError) as error:
        raise UserError(f"{source}: not a YAML file that can be read: {_said(error)}") from None
    if value is NOTHING:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{source}: got {shortened(value)}, allowed: keys with values, a line each, like KEY: VALUE")
    return value


def read_value(text: str) -> Any:
    """Return the value that `text` has behind a key of a sweep file: a scalar, `[...]` or `{...}`.

    Raises ValueError for anything else, a comment or a second value among it.
    """
    try:
        document = _Document(text)
    except (_ReadError, YAMLError, RecursionError) as error:
        raise ValueError(_said(error).removeprefix("line 1: ")) from None
    if not document.stands_alone:
        raise ValueError("allowed: one value, without a comment; a text with ':' or '#' in it needs quotes")
    return document.value


class _Document:
    """A YAML document, put together from the events of the library's parser."""

    def __init__(self, text: str, texts: Collection[str] = ()) -> None:
        self._events: Iterator[Event] = YAML(typ="safe", pure=True).parse(text)
        self._texts = texts
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._room = len(text) + COPIES
        self._last: Any = None
        self.value: Any = NOTHING
        self.stands_alone = not text.strip()
        """whether `text` is the value alone, in one line: no block, comment or anchor"""
        self._skip(StreamStartEvent)
        if isinstance(self._next(), DocumentStartEvent):
            first = self._next()
            self.value, _ = self._build(first)
            last: Any = self._last
            around = text[: first.start_mark.index] + text[last.end_mark.index :]
            block = not isinstance(first, ScalarEvent) and not getattr(first, "flow_style", False)
            self.stands_alone = not (block or around.strip())
            self._next()  # the document's end
            if not isinstance(self._next(), StreamEndEvent):
                raise _ReadError(self._last, "a second document begins, allowed: one")

    def _next(self) -> Any:
        self._last = next(self._events)
        return self._last

    def _skip(self, kind: type[Event]) -> None:
        assert isinstance(self._next(), kind)

    def _build(self, event: Any) -> tuple[Any, int]:
        """Return the value that begins with `event`, and how many values it is made of."""
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise _ReadError(event, f"'*{event.anchor}' has no '&{event.anchor}' that ends above it")
            value, size = self._anchors[event.anchor]
        elif event.ctag is not None:
            raise _ReadError(event, f"got the tag {event.ctag}, allowed: no tags")
        elif isinstance(event, ScalarEvent):
            value, size = _scalar(event), 1
        else:
            value, size = self._sequence() if isinstance(event, SequenceStartEvent) else self._mapping()
            size += 1
        if event.anchor is not None:
            self._anchors[event.anchor] = value, size
        if size > self._room:
            raise _ReadError(event, f"anchors (&, *) make more than {COPIES:,} values of it")
        return value, size

    def _sequence(self) -> tuple[list[Any], int]:
        values, sizes = [], 0
        while not isinstance(event := self._next(), SequenceEndEvent):
            value, size = self._build(event)
            values.append(value)
            sizes += size
        return values, sizes

    def _mapping(self) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int] = {}
        sizes = 0
        while not isinstance(key_event := self._next(), MappingEndEvent):
            key = self._key(key_event)
            if key in lines:
                raise _ReadError(key_event, f"duplicate key '{key}', which line {lines[key]} has already; keep one")
            lines[key] = _line(key_event)
            value_event = self._next()
            value, size = self._build(value_event)
            sizes += size
            if key in self._texts and isinstance(value_event, ScalarEvent) and value is not NOTHING:
                value = str(value_event.value)
            if key == MERGE and key_event.implicit[0]:
                merged = _merged(key_event, value)
            else:
                values[key] = value
        return {**merged, **values}, sizes

    def _key(self, event: Any) -> str:
        if isinstance(event, AliasEvent):
            raise _ReadError(event, f"got '*{event.anchor}' as a key, allowed: a text")
        if not isinstance(event, ScalarEvent):
            raise _ReadError(event, "got a list or a mapping as a key, allowed: a text")
        self._build(event)  # refuses a tag
        if not event.value:
            raise _ReadError(event, "got an empty key, allowed: a text")
        return str(event.value)


def _merged(event: Any, value: Any) -> dict[str, Any]:
    """Return the keys that `<<: value` brings; of several mappings, earlier ones win."""
    mappings = value if isinstance(value, list) else [value]
    if not all(isinstance(mapping, dict) for mapping in mappings):
        raise _ReadError(event, f"'{MERGE}' got {value!r}, allowed: a mapping, or a list of mappings")
    return {key: inner for mapping in reversed(mappings) for key, inner in mapping.items()}


def _scalar(event: Any) -> Any:
    text = str(event.value)
    if not event.implicit[0]:  # in quotes, or a block of text
        return text
    if text in ("", "~"):
        return NOTHING
    if INTEGER.fullmatch(text):
        return int(text)
    if REAL.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if NOT_FINITE.fullmatch(text) else WORDS.get(text, text)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _said(error: Exception) -> str:
    """Return a reader's error, ours or the library's, in one line."""
    if isinstance(error, RecursionError):
        return "too many brackets within brackets"
    if isinstance(error, MarkedYAMLError) and error.problem:
        mark = error.problem_mark or error.context_mark
        return f"line {mark.line + 1}: {error.problem}" if mark else str(error.problem)
    return " ".join(str(error).split())
