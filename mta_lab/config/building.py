"""Builds checked, frozen dataclasses and components of a tree of settings."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from components import FAMILIES
from components.hints import finite, fits, readable
from components.registry import Component, ComponentError
from mta_lab.config.layers import InvalidError, type_hints
from mta_lab.config.reader import NOTHING
from mta_lab.errors import nearest

YOUR_OWN = "for one of your own: --components FILE, MTA_LAB_COMPONENTS=FILE, or components: [FILE] in the sweep file"


def build(schema: type, node: Any, path: str) -> Any:
    """Turn a tree into an instance of the dataclass `schema`, with values of the declared types.

    `path` is its dotted key, empty for a whole run. Raises InvalidError for a value that does not
    fit.
    """
    hints = _hints(schema)
    if not isinstance(node, Mapping):
        raise InvalidError(path, f"got {node!r}, allowed: a mapping of {', '.join(hints)}")
    settings = {}
    for key, value in node.items():
        if key not in hints:
            allowed = ", ".join(hints) or "nothing"
            more = " ".join(["mta-lab settings", *path.split(".")[:1]]).strip()
            said = f"no such key{_suggestion(key, path, hints)} allowed: {allowed}; `{more}` explains them"
            raise InvalidError(_inside(path, key), said)
        settings[key] = _setting(hints[key], value, getattr(schema, key, None), _inside(path, key))
    for name in _required(schema):
        if name not in node:
            raise InvalidError(_inside(path, name), "is not set and has no default; set it, or use a scale")
    try:
        built = schema(**settings)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        if name not in hints:
            raise InvalidError(path, str(error)) from None
        raise InvalidError(_inside(path, name), message, _read_together(path, name)) from None
    for key in hints:  # a default, too
        if not finite(value := getattr(built, key)):
            raise InvalidError(_inside(path, key), f"got {value}, allowed: a finite number")
    return built


@cache
def _hints(schema: Any) -> dict[str, Any]:
    """Return the type of each setting of a dataclass."""
    return {field.name: type_hints(schema)[field.name] for field in fields(schema)}


@cache
def _required(schema: Any) -> list[str]:
    """Return the settings of a dataclass that have no default."""
    return [field.name for field in fields(schema) if field.default is MISSING is field.default_factory]


def _inside(path: str, key: str) -> str:
    """Return the dotted key of a setting in the section `path`; the root's path is empty."""
    return f"{path}.{key}" if path else key


def _setting(hint: Any, given: Any, default: Any, path: str) -> Any:
    """Return the value of one setting, of its declared type; raise InvalidError for others."""
    if given is NOTHING:
        raise InvalidError(path, "got nothing; leave the setting out for the default")
    value = _value(hint, given, default, path)
    if type(value) is hint:  # most are; what follows takes longer
        return value
    if not _is_section(hint) and not fits(hint, value):
        allowed = f"{readable(hint, in_file=True)}{_spelling(hint, value)}"
        raise InvalidError(path, f"got {given!r}, allowed: {allowed}")
    return _declared(hint, value)


def _declared(hint: Any, value: Any) -> Any:
    """Return a value that fits `hint`, a whole number as a fraction where one is declared.

    So 1 and 1.0 are one value.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin is dict:
        return {key: _declared(inner[1], item) for key, item in value.items()}
    if origin is tuple and isinstance(value, tuple):
        each = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return tuple(map(_declared, each, value))
    kinds = inner if origin in (Union, UnionType) else (hint,)
    return float(value) if type(value) is int and float in kinds and int not in kinds else value


def _is_section(hint: Any) -> bool:
    """Return whether values of that type are built here.

    Those are sections, components and lists of components.
    """
    if get_origin(hint) is tuple:
        element = get_args(hint)[0]
        return isinstance(element, type) and issubclass(element, Component)
    return isinstance(hint, type) and is_dataclass(hint)


def _read_together(path: str, name: str) -> list[str]:
    """Return the sections that a failed check of `name` at `path` may have compared."""
    if path:
        return [path.partition("[")[0]]
    return ["model", name] if name in ("attention", "task") else []


def _suggestion(key: str, path: str, hints: Mapping[str, Any]) -> str:
    """Return the nearest key at this place, or the section that has a key of this very name."""
    prefix = f"{path}." if path else ""
    elsewhere = [name for name, hint in hints.items() if is_dataclass(hint) and key in hint.__dataclass_fields__]
    if elsewhere:
        return f"; did you mean '{elsewhere[0]}.{key}'?"
    return nearest(f"{prefix}{key}", [f"{prefix}{name}" for name in hints]) or ";"


def _value(hint: Any, value: Any, default: Any, path: str) -> Any:
    """Return mappings and names as components and configurations, and all else as it is."""
    if isinstance(hint, type) and issubclass(hint, Component):
        return build_component(hint, value, default, path)
    if isinstance(hint, type) and is_dataclass(hint):
        return build(hint, value, path)
    origin = get_origin(hint)
    element = get_args(hint)[0] if origin is tuple else None
    if isinstance(element, type) and issubclass(element, Component):
        if not isinstance(value, list | tuple):
            raise InvalidError(path, f"got {value!r}, allowed: a list of {element.family}")
        return tuple(build_component(element, item, None, f"{path}[{index}]") for index, item in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return dict(_dotted(value))
    return _tuples(value)


def _tuples(value: Any) -> Any:
    """Return lists, and those within them, as tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a mapping with free keys, which may have dots in their names."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:  # an empty one is no value, and refused as such
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def build_component(base: type[Component], value: Any, default: Component | None, path: str) -> Component:
    """Return the component that a name or a mapping says, of the family of `base`.

    A mapping without a name is of `default`. Raises InvalidError for any other value.
    """
    settings = {"name": value} if isinstance(value, str) else value
    if not isinstance(settings, Mapping):
        raise InvalidError(path, f"got {value!r}, allowed: the name of one of {base.family}, or a mapping with 'name'")
    name = settings.get("name", default.name if default else None)
    if not isinstance(name, str):
        raise InvalidError(path, f"got {value!r}, allowed: a mapping with the 'name' of one of {base.family}")
    try:
        variant = FAMILIES[base.family].get(name)
    except ComponentError as error:
        raise InvalidError(path, f"{error}; {YOUR_OWN}") from None
    component: Component = build(variant, {k: v for k, v in settings.items() if k != "name"}, path)
    return component


def _spelling(hint: Any, value: Any) -> str:
    """Return a hint on how a number, or a text that looks like one, is written."""
    items = value if isinstance(value, tuple) else (value,)
    if any(isinstance(item, str) and item[:1] in tuple("+-.0123456789") for item in items):
        return "; a number has no leading zero, no '_', no ':' and no quotes"
    return "; in quotes, a number is a text" if fits(hint, "") and not isinstance(value, str) else ""
