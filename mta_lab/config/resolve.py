"""Merges the layers of a configuration: defaults <- scale <- sweep base <- row <- command line.

A key may be dotted (`model.heads`) or nested. A component is named by a string or by a mapping with
`name`; naming another component drops the settings of the one before. Every mistake is a UserError
that says which layer it is in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from importlib import resources
from types import UnionType
from typing import Any, Union, get_args, get_origin

from components import FAMILIES
from components.hints import finite, fits, readable
from components.registry import Component, ComponentError
from mta_lab.config.layers import InvalidError, Layer, Tree, type_hints, variants
from mta_lab.config.reader import NOTHING, read_value, read_yaml
from mta_lab.config.schema import STEPS, RunConfig
from mta_lab.config.share import take_share
from mta_lab.errors import UserError, nearest

SCALES = resources.files("mta_lab.config") / "scales"
YOUR_OWN = "for one of your own: --components FILE, MTA_LAB_COMPONENTS=FILE, or components: [FILE] in the sweep file"


def resolve(layers: Sequence[Layer], *, fewest_steps: int = 1) -> RunConfig:
    """Merge the layers, later ones first in rank, and return the checked, frozen configuration.

    A run has `fewest_steps` or more: a stage may have none.
    """
    merged: Tree = {}
    origins: dict[str, str] = {}
    for layer in layers:
        try:
            values = layer.tree
        except InvalidError as error:
            raise UserError(f"{layer.source}: {error.key}: {error}") from None
        for key, value in values.items():
            _assign(merged, key, value, layer.source, origins, RunConfig)
    take_share(merged.get("training"), origins, [layer.source for layer in layers])
    _shorten_warmup(merged, origins)
    try:
        if fewest_steps and isinstance(training := merged.get("training"), dict) and training.get("steps") == 0:
            raise InvalidError("training.steps", f"got 0, allowed: {STEPS}")
        config: RunConfig = _build(RunConfig, merged, "")
    except InvalidError as error:
        source = _latest(error.among, layers, origins) if error.among else _origin(error.key, origins)
        raise UserError(f"{source}: {error.key}: {error}{_set_before(error.key, source, origins)}") from None
    return config


def component(family: str, text: str, source: str) -> Component:
    """Return the component that a text of YAML says: a name, or a mapping with `name` and settings.

    Raises:
        UserError: it says none, or a setting is wrong.
    """
    try:
        value = read_value(text)
    except ValueError as error:
        raise UserError(f"{source}: '{text}' is not a YAML value ({error})") from None
    return component_of(family, value, source)


def component_of(family: str, value: Any, source: str) -> Component:
    """Return the component that a value of a file says, as `component` does of a text."""
    try:
        return _component(FAMILIES[family].base, value, None, "")
    except InvalidError as error:
        key = f" {error.key}:" if error.key else ""
        raise UserError(f"{source}:{key} {error}") from None


def shortened_warmup(steps: int) -> int:
    """Return the warm-up in place of a scale's that would fill all `steps`: a tenth of them."""
    return steps // 10


def _shorten_warmup(tree: Tree, origins: Mapping[str, str]) -> None:
    """Shorten the scale's warm-up where later layers leave no step after it; any other stays."""
    training, scale = tree.get("training"), f"scale {tree.get('scale')}"
    if not isinstance(training, dict) or origins.get("training.warmup_steps") != scale:
        return
    steps = training.get("steps")
    if type(steps) is int and 1 <= steps <= training["warmup_steps"]:
        training["warmup_steps"] = shortened_warmup(steps)


@cache
def scales() -> tuple[str, ...]:
    """Return the names of the shipped scales, smallest first."""
    return tuple(sorted((path.name.removesuffix(".yaml") for path in SCALES.iterdir()), key=_scale_order))


def scale_layer(name: str) -> Layer:
    """Return the layer of the scale `name`."""
    if name not in scales():
        raise UserError(
            f"--scale: no scale named '{name}'{nearest(name, scales()) or ';'} known: {', '.join(scales())}"
        )
    return Layer(f"scale {name}", {"scale": name, **_sizes(name)})


def _sizes(name: str) -> dict[str, Any]:
    """Return what the file of a shipped scale sets."""
    return read_yaml(SCALES / f"{name}.yaml", f"scale {name}")


def _scale_order(name: str) -> tuple[int, int]:
    values = _sizes(name)
    return values["model"]["layers"] * values["model"]["width"] ** 2, values["training"]["steps"]


def _assign(
    tree: Tree, head: str, value: Any, source: str, origins: dict[str, str], schema: type | None, prefix: str = ""
) -> None:
    """Set one setting or section in `tree`, and remember where each leaf came from.

    `schema` is the class whose settings the tree holds.
    """
    path = f"{prefix}.{head}" if prefix else head
    before = tree.get(head)
    if value == {} and before:
        said = f"got {{}}, which takes nothing away from what {_origin(path, origins)} sets"
        raise UserError(f"{source}: {path}: {said}; set its keys one by one, or leave this out")
    if isinstance(value, str) and isinstance(before, dict):
        value = {"name": value}
    if not isinstance(value, Mapping):
        tree[head] = value
        origins[path] = source
        return
    if isinstance(before, str):
        before = {"name": before}
    default = getattr(getattr(schema, head, None), "name", None)  # settings without a name are the default component's
    if not isinstance(before, dict) or value.get("name", before.get("name", default)) != before.get("name", default):
        before = {}
    tree[head] = before
    origins[path] = source
    inner_schema = _section(schema, head, value.get("name", before.get("name", default)))
    for inner, inner_value in value.items():
        _assign(before, inner, inner_value, source, origins, inner_schema, path)


def _section(schema: type | None, key: str, name: Any) -> type | None:
    """Return the class whose settings stand below `key`; None where there is none.

    For a component, that is the variant of the given name.
    """
    hint = type_hints(schema).get(key) if schema else None
    if not (isinstance(hint, type) and issubclass(hint, Component)):
        return next(iter(variants(hint)), None)
    try:
        return FAMILIES[hint.family].get(name) if isinstance(name, str) else None
    except ComponentError:
        return None


def _origin(key: str, origins: Mapping[str, str]) -> str:
    """Return the layer that set `key`, or the nearest key above it."""
    while key and key not in origins:
        key = key.rpartition("[")[0] if key.endswith("]") else key.rpartition(".")[0]
    return origins.get(key, "defaults")


def _set_before(key: str, source: str, origins: Mapping[str, str]) -> str:
    """Return a note if the value of `key` is not from `source`, whose settings it contradicts."""
    origin = origins.get(key, source) if "." in key else source
    return "" if origin == source else f" (its value is from {origin})"


def _latest(sections: Sequence[str], layers: Sequence[Layer], origins: Mapping[str, str]) -> str:
    """Return the last layer that set anything in `sections`.

    Settings that do not fit together were fine before it.
    """
    setters = {source for key, source in origins.items() if key.startswith(tuple(sections))}
    return next((layer.source for layer in reversed(layers) if layer.source in setters), "defaults")


def _build(schema: type, node: Any, path: str) -> Any:
    """Turn a tree into an instance of the dataclass `schema`, with values of the declared types."""
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
        return _component(hint, value, default, path)
    if isinstance(hint, type) and is_dataclass(hint):
        return _build(hint, value, path)
    origin = get_origin(hint)
    element = get_args(hint)[0] if origin is tuple else None
    if isinstance(element, type) and issubclass(element, Component):
        if not isinstance(value, list | tuple):
            raise InvalidError(path, f"got {value!r}, allowed: a list of {element.family}")
        return tuple(_component(element, item, None, f"{path}[{index}]") for index, item in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return dict(_dotted(value))
    return tuple(value) if isinstance(value, list) else value


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a mapping with free keys, which may have dots in their names."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:  # an empty one is no value, and refused as such
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _component(base: type[Component], value: Any, default: Component | None, path: str) -> Component:
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
    component: Component = _build(variant, {k: v for k, v in settings.items() if k != "name"}, path)
    return component


def _spelling(hint: Any, value: Any) -> str:
    """Return a hint on how a number, or a text that looks like one, is written."""
    items = value if isinstance(value, tuple) else (value,)
    if any(isinstance(item, str) and item[:1] in tuple("+-.0123456789") for item in items):
        return "; a number has no leading zero, no '_', no ':' and no quotes"
    return "; in quotes, a number is a text" if fits(hint, "") and not isinstance(value, str) else ""
