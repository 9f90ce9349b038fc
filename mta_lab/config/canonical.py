"""The canonical form of a configuration, flat or nested, and how two of them differ."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any

from components.registry import BESIDE, LATER, Component
from mta_lab.config.layers import type_hints
from mta_lab.config.schema import RunConfig
from mta_lab.config.stage import StageConfig
from mta_lab.config.training import BARE, NO_PART

_ABSENT = object()
PARENT = "parent."
"""begins the key of what a stage's parent has, if it differs"""


def plain(value: Any, *, later: bool = False) -> Any:
    """Return the canonical form: dictionaries, lists and scalars only.

    A component is a dictionary with its `name`. With `later`, settings that it leaves out while
    they are at their default are there, too, so that all rows have them.

    A number that may have a fraction has one, so that 1 and 1.0 are the same setting.
    """
    if isinstance(value, str | int | float):  # most of them; asking for fields takes longer
        return value
    if isinstance(value, list | tuple):
        return [plain(item, later=later) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item, later=later) for key, item in value.items()}
    if not is_dataclass(value):
        return value
    found: dict[str, Any] = {"name": value.name} if isinstance(value, Component) else {}
    for name, is_number, default, marks in _settings(type(value)):  # type: ignore[arg-type]  # a class is hashable
        given = getattr(value, name)
        item, beside = _parted(given, later=later)
        found |= beside
        if later or not LATER.items() <= marks.items() or (given != default and item != _parted(default)[0]):
            if BARE.items() <= marks.items() and list(item) == ["name"]:
                item = item["name"]
            found[name] = float(item) if is_number else item
    return found


def _parted(value: Any, *, later: bool = False) -> tuple[Any, dict[str, Any]]:
    """Return the canonical form of a setting, and what of a component's own stands beside it."""
    item = plain(value, later=later)
    if not isinstance(value, Component):
        return item, {}
    return item, {marks[BESIDE]: item.pop(name) for name, _, _, marks in _settings(type(value)) if BESIDE in marks}  # type: ignore[arg-type]  # a class is hashable


@cache
def _settings(cls: type) -> list[tuple[str, bool, Any, Mapping[str, Any]]]:
    """Return a class's settings: whether each may have a fraction, its default and metadata."""
    types = type_hints(cls)
    counted = [field for field in fields(cls) if NO_PART not in field.metadata]
    defaults = [one.default if one.default_factory is MISSING else one.default_factory() for one in counted]
    return [
        (field.name, types[field.name] is float, default, dict(field.metadata))
        for field, default in zip(counted, defaults, strict=True)
    ]


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Return the canonical form with dotted keys.

    A list of components becomes the list of their names, and each component under its number. Of a
    stage's parent, it has what differs from the stage, as `parent.KEY`.
    """
    if not isinstance(config, StageConfig):
        return dict(_leaves(plain(config), prefix))
    own = dict(_leaves({key: value for key, value in plain(config).items() if key != "parent"}, prefix))
    before = flatten(config.parent, prefix)
    return own | {f"{PARENT}{key}": value for key, value in before.items() if own.get(key, _ABSENT) != value}


def _leaves(tree: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else key)
    elif isinstance(tree, list) and any(isinstance(item, dict) for item in tree):
        yield prefix, [item["name"] for item in tree]
        for number, item in enumerate(tree):
            yield from _leaves(item, f"{prefix}.{number}")
    else:
        yield prefix, tree


def difference(config: RunConfig, base: RunConfig) -> dict[str, Any]:
    """Return the flattened settings of `config` that `base` lacks or sets otherwise, seed aside."""
    return differing(flatten(config), flatten(base))


def differing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flattened settings of `ours` that `theirs` lacks or sets otherwise, seed aside.

    A stage's parent is compared with the other's parent, or with the other run itself.
    """
    keys = dict.fromkeys([*ours, *(key for key in theirs if key.startswith(PARENT))])
    both = {key: (_found(ours, key), _found(theirs, key)) for key in keys if key != "seed"}
    return {key: our for key, (our, their) in both.items() if our is not _ABSENT and our != their}


def _found(flat: Mapping[str, Any], key: str) -> Any:
    """Return a setting; of a parent that has it as its stage has, the stage's."""
    while key not in flat and key.startswith(PARENT):
        key = key.removeprefix(PARENT)
    return flat.get(key, _ABSENT)
