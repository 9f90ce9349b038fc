"""A layer of settings: from one place, written dotted or nested, in any order, each key once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache, cached_property
from typing import Any, get_type_hints

from components import FAMILIES
from components.attention import LISTED
from components.registry import Component, load_plugins
from mta_lab.config.reader import NOTHING, read_value
from mta_lab.config.schema import RunConfig
from mta_lab.errors import UserError

Tree = dict[str, Any]
type_hints = cache(get_type_hints)


@dataclass(frozen=True)
class Layer:
    """Settings from one place; `source` is how an error names it."""

    source: str
    values: Mapping[str, Any]

    @cached_property
    def tree(self) -> Tree:
        """Return the settings nested, as `nested` does; a layer is below many rows.

        `seed: {init: 0}` is short for `fixed_seeds: {init: 0}`, and `model.rope_theta` for
        `model.positions.theta`.
        """
        tree = nested(self.values.items())
        if isinstance(tree.get("seed"), dict):
            if "fixed_seeds" in tree:
                raise InvalidError("fixed_seeds", "is set twice, as seed, too; keep one")
            tree["fixed_seeds"] = tree.pop("seed")
        if isinstance(model := tree.get("model"), dict) and "rope_theta" in model:
            theta = model.pop("rope_theta")
            try:
                _place(model, "positions.theta", theta, "model")
            except InvalidError:
                raise InvalidError("model.rope_theta", "is set twice, as positions.theta, too; keep one") from None
        return tree


class InvalidError(Exception):
    """A mistake at a key; who catches it adds the layer that it came from.

    `among` are the sections whose settings do not go together, where the mistake is not one key's
    alone.
    """

    def __init__(self, key: str, message: str, among: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.key = key
        self.among = tuple(among)


def command_line(settings: Sequence[str]) -> Layer:
    """Return the layer of `KEY=VALUE` arguments.

    A setting that is a text takes VALUE as it stands; any other reads it as it would stand in a
    sweep file.
    """
    values: Tree = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key or "\n" in text:
            raise UserError(f"command line: got '{setting}', allowed: KEY=VALUE, like model.heads=8")
        if key in values:
            raise UserError(f"command line: {key}: is set twice; keep one")
        try:
            values[key] = _read(key, text)
        except ValueError as error:
            raise UserError(f"command line: {key}: '{text}' is not a YAML value ({error})") from None
    if "scale" in values:
        raise UserError("command line: scale: is no setting; use --scale NAME")
    return Layer("command line", values)


def _read(key: str, text: str) -> Any:
    """Return the value of a setting on the command line."""
    if text.strip() in ("", "~"):
        return NOTHING
    hints = _hints_of(key)
    if not hints or any(hint not in (str, str | None) for hint in hints):
        return read_value(text)
    return None if text == "null" and hints == {str | None} else text


def _hints_of(key: str) -> set[Any]:
    """Return the types that a dotted key has; none for an unknown key.

    There are several where components that have the key differ in its type.
    """
    found = _known_hints(key)
    if not found:  # it may be a plugin's
        load_plugins()
        found = _known_hints(key)
    return found


def _known_hints(key: str) -> set[Any]:
    places: set[Any] = {RunConfig}
    for part in key.split("."):
        schemas = {schema for place in places for schema in variants(place)}
        places = {str if part == "name" and issubclass(schema, Component) else type_hints(schema).get(part)
                  for schema in schemas} - {None}  # fmt: skip
    return places


def variants(hint: Any) -> list[type]:
    """Return the classes whose settings stand in a section of this type.

    There are several for a component, and none for a plain value.

    Plugins' variants are among them once they are loaded.
    """
    if not (isinstance(hint, type) and is_dataclass(hint)):
        return []
    if not issubclass(hint, Component):
        return [hint]
    return list(FAMILIES[hint.family].registered())


def nested(settings: Iterable[tuple[str, Any]], prefix: str = "") -> Tree:
    """Return settings, dotted or nested, as a tree; a component is a mapping with its `name`.

    A list of attentions, each with its `layers`, is short for the one that LISTED names.

    Raises InvalidError where a key is set twice, however it is written, and where `${` asks to be
    filled in.
    """
    tree: Tree = {}
    for key, value in settings:
        _place(tree, key, value if prefix else in_full(key, value), prefix)
    return tree


def in_full(key: str, value: Any) -> Any:
    """Return the value of a dotted key, a list of attentions as what it is short for.

    One without `layers` stands on all of them, as an operation does.
    """
    if key != "attention" or not isinstance(value, list):
        return value
    each = [one if isinstance(one, Mapping) else {"name": one} for one in value]
    variants = [{name: setting for name, setting in one.items() if name != "layers"} for one in each]
    return {"name": LISTED, "layers": [one.get("layers", "all") for one in each], "variants": variants}


def _place(tree: Tree, key: str, value: Any, prefix: str) -> None:
    head, _, rest = key.partition(".")
    path = f"{prefix}.{head}" if prefix else head
    _refuse_interpolation(key, path)
    if rest:
        value = {rest: value}
    before = tree.get(head, _ABSENT)
    if before == {}:
        raise InvalidError(path, "is set twice; keep one")
    if isinstance(value, Mapping) and (value or before is _ABSENT):
        section = {} if before is _ABSENT else {"name": before} if isinstance(before, str) else before
        if not isinstance(section, dict):
            raise InvalidError(path, "is set twice; keep one")
        tree[head] = section
        for inner, inner_value in value.items():
            _place(section, inner, inner_value, path)
    elif isinstance(before, dict) and isinstance(value, str):
        _place(before, "name", value, path)
    elif before is not _ABSENT:
        raise InvalidError(path, "is set twice; keep one")
    else:
        tree[head] = _leaf(value, path)


_ABSENT = object()


def in_words(value: Any) -> str:
    """Return a setting's value as a sweep file and a command line have it."""
    if isinstance(value, list):
        return f"[{', '.join(map(in_words, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _leaf(value: Any, path: str) -> Any:
    if isinstance(value, list | tuple):
        return [_leaf(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return nested(value.items(), path)
    if isinstance(value, str):
        _refuse_interpolation(value, path)
    return value


def _refuse_interpolation(text: str, path: str) -> None:
    if "${" in text:
        raise InvalidError(path, f"got '{text}', allowed: the value itself; nothing is filled in for '${{'")
