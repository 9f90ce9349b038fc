"""Every setting of a run, for people: type, default, allowed values and meaning.

All of it is read from the classes that hold the settings, a user's components too, so nothing is
said twice.
"""

import ast
import functools
import inspect
import math
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from components import FAMILIES
from components.evaluations import TextEvaluation
from components.hints import readable
from components.registry import Component
from mta_lab.config.layers import type_hints
from mta_lab.config.resolve import resolve, scale_layer
from mta_lab.config.schema import RunConfig

SCALE = "nano"  # whose sizes stand as examples
REQUIRED = "must be set"


@dataclass(frozen=True)
class Setting:
    """One key, with all that can be said of it in a line."""

    key: str
    kind: str
    """its type in words"""
    default: str
    """as it is written, or REQUIRED"""
    allowed: str
    """empty where every value of the type is"""
    line: str


@dataclass(frozen=True)
class Section:
    """Settings that are written in one place."""

    title: str
    about: str
    settings: tuple[Setting, ...]


def run_settings() -> list[Section]:
    """Return the settings of a run, those of each registered component in a section of its own."""
    example = resolve([scale_layer(SCALE)])
    sections = [_section("run", RunConfig, "", example)]
    sections += [_section(name, type(part), name, part) for name, part in vars(example).items() if _is_part(part)]
    places = _places()
    for family in sorted(FAMILIES, key=list(places).index):
        for name in FAMILIES[family].names():
            variant = FAMILIES[family].get(name)
            asked = issubclass(variant, TextEvaluation)  # of a finished run: its settings are none of a run's
            sections.append(_component(variant, ["mta-lab evaluate", "run.evaluate()"] if asked else places[family]))
    return [section for section in sections if section.settings]


def _is_part(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, Component)


def _is_section(hint: type) -> bool:
    return is_dataclass(hint) and not issubclass(hint, Component)


def _component(variant: type[Component], places: list[str]) -> Section:
    """Return the settings of a variant.

    Below a single place their keys are whole; in an item of a list they are the item's own.
    """
    place = places[0] if len(places) == 1 and "[" not in places[0] else ""
    title = f"{place}: {variant.name}" if place else f"{variant.name}, in {' or '.join(places)}"
    try:
        example = variant()
    except Exception:  # a setting without a default, or a fault in a user's component: it is listed all the same
        example = None
    return _section(title, variant, place, example)


def _section(title: str, schema: type, prefix: str, example: Any) -> Section:
    hints, lines = type_hints(schema), lines_of(schema)
    settings = [
        Setting(
            key=f"{prefix}.{field.name}" if prefix else field.name,
            kind=_kind(hints[field.name]),
            default=_default(field, example),
            allowed=_allowed(field.name, hints[field.name], example),
            line=lines.get(field.name, ""),
        )
        for field in fields(schema)
        if not _is_part(getattr(example, field.name, None)) and (schema, field.name) != (RunConfig, "scale")
    ]
    return Section(title, inspect.cleandoc(schema.__doc__ or "").partition("\n")[0], tuple(settings))


@functools.cache
def lines_of(schema: type) -> dict[str, str]:
    """Return the text below each field of a dataclass and of its bases, in one line each."""
    found: dict[str, str] = {}
    for base in reversed(schema.__mro__):
        if base in (object, Component):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for field, below in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                text = ast.literal_eval(below.value) if isinstance(below.value, ast.Constant) else ""
                found[field.target.id] = " ".join(str(text).split())
    return found


def _kind(hint: Any) -> str:
    """Return a type in words; which words a text may be is for `allowed`."""
    if get_origin(hint) is Literal:
        return "a text"
    return readable(hint, in_file=True)


def _default(field: Field[Any], example: Any) -> str:
    """Return a default as it is written, and what the scale of the example sets in its place."""
    there = getattr(example, field.name, MISSING)
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    if default is MISSING:
        return REQUIRED if there is MISSING else f"by scale ({SCALE}: {_written(there)})"
    return _written(default) if there in (MISSING, default) else f"{_written(default)} ({SCALE}: {_written(there)})"


def _written(value: Any) -> str:
    """Return a value as a sweep file has it, a component as its name."""
    if isinstance(value, Component):
        return value.name
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return "''" if value == "" else str(value)


def _allowed(name: str, hint: Any, example: Any) -> str:
    """Return what may be written: names, or what the field's own check says of a wrong value."""
    if get_origin(hint) is Literal:
        return readable(hint, in_file=True)
    for part in (hint, *get_args(hint)):
        if inspect.isclass(part) and issubclass(part, Component):
            return ", ".join(FAMILIES[part.family].names())
    for value in _impossible(hint) if example is not None else ():
        try:
            replace(example, **{name: value})
        except Exception as error:  # a user's check may raise anything
            said, _, allowed = str(error).partition("allowed: ")
            if allowed and said.startswith(f"{name}:"):
                return allowed
    return ""


def _impossible(hint: Any) -> Iterator[Any]:
    """Yield values of a type that a check is likely to refuse: below zero, and no number."""
    if get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _impossible(part)
    elif get_origin(hint) is tuple:
        yield tuple(-1 for part in get_args(hint) if part is not Ellipsis)
    elif get_origin(hint) is dict:
        yield {"x": -1.0}
    elif hint in (int, float):
        yield hint(-1)
        yield from (math.nan,) if hint is float else ()


def _places() -> dict[str, list[str]]:
    """Return where components of each family are set: `attention.norm`, `attention.pre_softmax[]`.

    The brackets mark a list.
    """
    found: dict[str, list[str]] = {}

    def walk(schema: type, prefix: str, above: tuple[str, ...]) -> None:
        for field in fields(schema):
            hint = type_hints(schema)[field.name]
            place = f"{prefix}.{field.name}" if prefix else field.name
            if get_origin(hint) is tuple:
                hint, place = get_args(hint)[0], f"{place}[]"
            if isinstance(hint, type) and _is_section(hint):
                walk(hint, place, above)
                continue
            if not (inspect.isclass(hint) and issubclass(hint, Component)) or hint.family in above:
                continue
            places = found.setdefault(hint.family, [])
            if place not in places:
                places.append(place)
            family = FAMILIES[hint.family]
            for name in family.names():
                walk(family.get(name), place, (*above, hint.family))

    walk(RunConfig, "", ())
    return found
