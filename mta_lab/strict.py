"""Files that anybody may have written: read whole, in the declared types, or refused in words.

A file is no device and no pipe, and is UTF-8 (a byte order mark is passed over). Its JSON has each
key of a mapping once and finite numbers of a machine's size, and is not nested without end.
"""

import json
import math
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, BinaryIO, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

MOST = 1 << 28  # bytes of a file
DEEPEST = 50  # brackets within brackets
LARGEST = 1 << 63  # what a whole number stays below
DIGITS = len(str(-LARGEST))
NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", NoneType: "null"}
PLAIN = frozenset(NAMES)
T = TypeVar("T")


class FaultError(ValueError):
    """A fault in a file's content, told in a line."""


class OtherFieldsError(FaultError):
    """It has other fields than this version's."""


@contextmanager
def opened(path: Path, most: int) -> Iterator[BinaryIO]:
    """Open a regular file of at most `most` bytes to read; never wait for anything else.

    Raises FileNotFoundError where there is no file, and FaultError where it cannot be read.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise FaultError(str(error.strerror)) from None
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise FaultError("it is no regular file")
        if found.st_size > most:
            raise FaultError(f"it has {found.st_size:,} bytes, allowed: at most {most:,}")
        with open(number, "rb", closefd=False) as file:
            yield file
    except OSError as error:
        raise FaultError(str(error.strerror)) from None
    finally:
        os.close(number)


def content(path: Path, most: int = MOST) -> bytes:
    """Return the bytes of a regular file of at most `most`; raise as `opened` does."""
    with opened(path, most) as file:
        return file.read(os.fstat(file.fileno()).st_size)  # for `most` bytes, Python would first make room


def as_json(data: bytes) -> Any:
    """Return the value that JSON says; raise FaultError if it says none, or could be two."""
    try:
        text = data.decode("utf-8-sig")
        found = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite, parse_int=_whole
        )
    except UnicodeDecodeError as error:
        raise FaultError(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise FaultError("too many brackets within brackets") from None
    except json.JSONDecodeError as error:
        raise FaultError(f"line {error.lineno}: {error.msg}" if text.strip() else "it is empty") from None
    if not _is_flat(found):
        raise FaultError("too many brackets within brackets")
    return found


def _is_flat(value: Any) -> bool:
    """Return whether fewer than DEEPEST values stand around any other."""
    level = [value]
    for _ in range(DEEPEST):
        outer = [one for one in level if type(one) not in PLAIN]
        level = [inner for one in outer for inner in (one.values() if type(one) is dict else one)]
        if not level:
            return True
    return False


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise FaultError(f"the key '{twice}' stands twice")
    return found


def _no_number(text: str) -> Any:
    raise FaultError(f"{text} is no number")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise FaultError(f"{text[:20]} is no finite number")
    return number


def _whole(text: str) -> int:
    if len(text) > DIGITS or not -LARGEST < (number := int(text)) < LARGEST:
        raise FaultError(f"{text[:20]}... is too large a number")
    return number


def built(cls: type[T], value: Any, where: str = "") -> T:
    """Return the dataclass `cls` of a mapping of its fields, each of the type that is declared.

    Raises FaultError, which names the field, and OtherFieldsError where one is missing or unknown.
    """
    if not isinstance(value, dict):
        raise FaultError(_got(where.rstrip("."), value, "a mapping"))
    hints = _hints(cls)  # type: ignore[arg-type]
    for name in value.keys() - hints.keys():
        raise OtherFieldsError(f"{where}{name}: no such field")
    for name in _needed(cls):  # type: ignore[arg-type]
        if name not in value:
            raise OtherFieldsError(f"{where}{name}: is missing")
    tests = _tests(cls)  # type: ignore[arg-type]
    return cls(
        **{
            name: found if tests[name](found) else _built(hints[name], found, f"{where}{name}")
            for name, found in value.items()
        }
    )


@cache
def _needed(cls: Any) -> list[str]:
    return [one.name for one in fields(cls) if one.default is MISSING and one.default_factory is MISSING]


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


@cache
def _tests(cls: Any) -> dict[str, Callable[[Any], bool]]:
    """Return the test of each field for a value that is right, and in which nothing is built."""
    return {name: (lambda value: False) if _section(hint) else _test(hint) for name, hint in _hints(cls).items()}


def _built(hint: Any, value: Any, where: str) -> Any:
    """Return the value, in which mappings are dataclasses where `hint` says so."""
    section = _section(hint)
    if section and section is hint:
        return built(section, value, f"{where}.")
    if section and isinstance(value, list) and get_origin(hint) is Sequence:
        return tuple(_built(section, one, f"{where}[{index}]") for index, one in enumerate(value))
    if section and isinstance(value, dict) and get_origin(hint) is Mapping:
        return {name: _built(section, one, f"{where}.{name}") for name, one in value.items()}
    if not _test(hint)(value):
        raise FaultError(_got(where, value, _in_words(hint)))
    return value


@cache
def _section(hint: Any) -> type[Any] | None:
    """Return the dataclass that `hint` is, or is a sequence or mapping of; else None."""
    one = get_args(hint)[-1] if get_origin(hint) in (Sequence, Mapping) else hint
    return one if isinstance(one, type) and is_dataclass(one) else None


@cache  # a record has a thousand values, of ten types
def _test(hint: Any) -> Callable[[Any], bool]:
    """Return the test of whether a value is of a type."""
    kind, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda value: True
    if kinds := _kinds(hint):
        return lambda value: type(value) in kinds
    if kind in (Union, UnionType):
        tests = [_test(one) for one in inner]
        return lambda value: any(test(value) for test in tests)
    if kind is Literal:
        return lambda value: any(type(value) is type(one) and value == one for one in inner)
    if kind is Sequence:
        all_are = _all_are(inner[0])
        return lambda value: isinstance(value, list) and all_are(value)
    if kind is Mapping:
        all_are = _all_are(inner[1])
        return lambda value: isinstance(value, dict) and all_are(value.values())
    return lambda value: type(value) is hint


def _all_are(hint: Any) -> Callable[[Iterable[Any]], bool]:
    """Return the test of whether all values are of a type."""
    if kinds := _kinds(hint):
        return lambda values: kinds.issuperset(map(type, values))
    test = _test(hint)
    return lambda values: all(map(test, values))


def _kinds(hint: Any) -> frozenset[type]:
    """Return the classes that values of a plain type, or a union of them, have; none for others."""
    if get_origin(hint) in (Union, UnionType):
        kinds = list(map(_kinds, get_args(hint)))
        return frozenset().union(*kinds) if all(kinds) else frozenset()
    return frozenset({int, float} if hint is float else {hint}) & PLAIN


def _in_words(hint: Any) -> str:
    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return " or ".join(map(_in_words, inner))
    if kind is Literal:
        return " or ".join(map(repr, inner))
    if kind is Sequence:
        return f"a list, each of it {_in_words(inner[0])}"
    if kind is Mapping:
        return "a mapping" if inner[1] is Any else f"a mapping of names, each to {_in_words(inner[1])}"
    return NAMES.get(hint, "a mapping")


def _got(where: str, value: Any, allowed: str) -> str:
    got = f"got {shortened(value)}, allowed: {allowed}"
    return f"{where}: {got}" if where else got


def shortened(value: Any) -> str:
    """Return a value as Python writes it, cut where it is long."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
