"""Check values against type hints, and say in errors what was given and what is allowed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

CONTAINERS = (tuple, list, dict, Sequence, Mapping)
WRITABLE = "int, float, bool, str, None, Literal, a component, and tuple, list or dict of them"
LONGEST = 100
"""characters of a value in an error"""


def fits(hint: Any, value: Any) -> bool:
    """Return whether `value` has the type as it stands: True is no number, and 1.0 no whole number.

    A whole number is a number, too. Of types that this project does not use for settings, only the
    class counts.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(one, value) for one in inner)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if origin is tuple and isinstance(value, tuple):
        each = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return len(each) == len(value) and all(map(fits, each, value))
    if origin is dict and isinstance(value, dict):
        return all(fits(inner[0], key) and fits(inner[1], item) for key, item in value.items())
    if hint in (int, float) and isinstance(value, bool):
        return False
    if hint is float:
        return isinstance(value, int | float)
    try:
        return isinstance(value, origin or hint)
    except TypeError:  # Any, and others that are no classes
        return True


def writable(hint: Any) -> bool:
    """Return whether values of the type can stand in a sweep file, and in a record."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return all(isinstance(one, str | int | float | NoneType) for one in inner)
    if origin is not None:
        return (origin in CONTAINERS or origin in (Union, UnionType)) and all(map(writable, inner))
    return hint in (*CONTAINERS, *_NUMBERS_AND_TEXTS, NoneType, Any, ...) or is_dataclass(hint)


def changeable(hint: Any) -> bool:
    """Return whether values of the type are, or hold, lists or mappings, which have no hash."""
    origin, inner = get_origin(hint), get_args(hint)
    return (origin or hint) in (list, dict, Mapping) or any(map(changeable, inner if origin is not Literal else ()))


def finite(value: Any) -> bool:
    """Return whether no number in the value is infinite or none."""
    if isinstance(value, tuple | list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def readable(hint: Any, *, in_file: bool = False) -> str:
    """Return a type in words: as Python has it, or as a sweep file does."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        *first, last = (readable(one, in_file=in_file) for one in inner)
        return f"{', '.join(first)}, or {last}"
    if origin is Literal:
        *first, last = map(repr, inner)
        return f"{', '.join(first)} or {last}" if first else last
    if origin is tuple:
        return f"a {'list' if in_file else 'tuple'} of {_members(inner, in_file)}"
    if origin is dict:
        return f"a mapping of names, each to {readable(inner[1], in_file=in_file)}"
    if hint in (NoneType, None):
        return "null" if in_file else "None"
    return _words(hint, in_file)[0]


def _members(inner: tuple[Any, ...], in_file: bool) -> str:
    """Return what a tuple is of: several of one type, or one of each."""
    count = "" if ... in inner else f"{len(inner)} "
    if len({*inner} - {...}) == 1:
        one = inner[0]
        return f"{count}{readable(one, in_file=in_file) if get_origin(one) else _words(one, in_file)[1]}"
    return ", ".join(readable(one, in_file=in_file) for one in inner)


def _words(hint: Any, in_file: bool) -> tuple[str, str]:
    """Return the words for one value of a class, and for several.

    In a file, a component is written by its name.
    """
    if family := getattr(hint, "family", ""):
        return (f"one of {family}", family) if in_file else (f"a component of {family}", f"components of {family}")
    name = getattr(hint, "__name__", str(hint))
    return _NUMBERS_AND_TEXTS.get(hint, (name, name))


def shown(value: Any) -> str:
    """Return the value in one short line."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


_NUMBERS_AND_TEXTS = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
    bool: ("true or false", "truth values"),
}
