"""Merges the layers of a configuration: defaults <- scale <- sweep base <- row <- command line.

A key may be dotted (`model.heads`) or nested. A component is named by a string or by a mapping with
`name`; naming another component drops the settings of the one before. Every mistake is a UserError
that says which layer it is in.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from components import FAMILIES
from components.optimizers import ADAMW
from components.registry import BESIDE, Component, ComponentError
from mta_lab.config.building import build, build_component
from mta_lab.config.checkpoint import CONFIG, sizes_of
from mta_lab.config.layers import InvalidError, Layer, Tree, type_hints, variants
from mta_lab.config.reader import read_value, read_yaml
from mta_lab.config.schema import RunConfig
from mta_lab.config.share import take_share
from mta_lab.config.training import ADAM, STEPS
from mta_lab.errors import UserError, nearest

SCALES = resources.files("mta_lab.config") / "scales"


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
    sources = [layer.source for layer in layers]
    _drop_unread(merged.get("training"), origins, sources)
    take_share(merged.get("training"), origins, sources)
    _shorten_warmup(merged, origins)
    try:
        if fewest_steps and isinstance(training := merged.get("training"), dict) and training.get("steps") == 0:
            raise InvalidError("training.steps", f"got 0, allowed: {STEPS}")
        _refuse_angles(merged.get("model"))
        config: RunConfig = build(RunConfig, merged, "")
    except InvalidError as error:
        source = _latest(error.among, layers, origins) if error.among else _origin(error.key, origins)
        raise UserError(f"{source}: {error.key}: {error}{_set_before(error.key, source, origins)}") from None
    return config


def resolve_run(layers: Sequence[Layer]) -> RunConfig:
    """Return the configuration of a run, which may start from a checkpoint and then has its sizes.

    The first layer is that of a scale.

    Raises:
        UserError: as `resolve` does, or a layer sets another size than the checkpoint has.
    """
    init: Tree = {}
    for layer in layers:
        with suppress(InvalidError):  # which `resolve` says
            given = layer.tree.get("init")
            init |= given if isinstance(given, Mapping) else {}
    if not isinstance(checkpoint := init.get("checkpoint"), str):
        return resolve(layers)
    folder = Path(checkpoint).expanduser()
    if init.get("content") and not folder.exists():
        return resolve(layers, fewest_steps=0)
    sizes, (scale, *rest) = sizes_of(folder), layers
    config = resolve([scale, Layer(str(folder / CONFIG), {"model": sizes}), *rest], fewest_steps=0)
    for key in sizes.keys() - {"rope_theta", "positions"}:  # these are angles, and have no weights
        if getattr(config.model, key) != sizes[key]:
            said = f"got {getattr(config.model, key)}, allowed: {sizes[key]}, as the checkpoint in {folder} has it"
            raise UserError(f"model.{key}: {said}")
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
        return build_component(FAMILIES[family].base, value, None, "")
    except InvalidError as error:
        key = f" {error.key}:" if error.key else ""
        raise UserError(f"{source}:{key} {error}") from None


def shortened_warmup(steps: int) -> int:
    """Return the warm-up in place of a scale's that would fill all `steps`: a tenth of them."""
    return steps // 10


def _drop_unread(training: Any, origins: dict[str, str], sources: Sequence[str]) -> None:
    """Drop AdamW's constants that a layer set before a later one named an optimizer without them.

    Naming another component drops the settings of the one before; these stand beside it.
    """
    given = training.get("optimizer") if isinstance(training, dict) else None
    name = given.get("name", ADAMW.name) if isinstance(given, dict) else given
    try:
        reads = not isinstance(name, str) or FAMILIES["optimizers"].get(name).reads_adam  # type: ignore[attr-defined]
    except ComponentError:
        return  # it is refused below, by its name
    place = origins.get("training.optimizer.name", origins.get("training.optimizer"))
    for constant in () if reads else ADAM:
        origin = origins.get(f"training.{constant}")
        if origin in sources and place in sources and sources.index(origin) < sources.index(place):
            del training[constant]


def _refuse_angles(model: Any) -> None:
    """Raise InvalidError for a base of rotary frequencies beside positions that have none."""
    given = model.get("positions") if isinstance(model, dict) else None
    if not isinstance(given, dict) or "theta" not in given or not isinstance(name := given.get("name"), str):
        return
    with suppress(ComponentError):  # an unknown name is refused below
        if "theta" not in FAMILIES["positions"].get(name).__dataclass_fields__:
            turning = [one for one in FAMILIES["positions"].registered() if "theta" in one.__dataclass_fields__]
            said = f"got {given['theta']} beside the positions '{name}', which turn by no angles"
            allowed = f"allowed: none (`rope_theta` is the same key), or {', '.join(one.name for one in turning)}"
            raise InvalidError("model.positions.theta", f"{said}; {allowed}")


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
    before = before if isinstance(before, dict) else {}
    name = value.get("name", before.get("name", default))
    inner_schema = _section(schema, head, name)
    if name != before.get("name", default):
        before = {key: before[key] for key in _beside(inner_schema) if key in before}
    tree[head] = before
    origins[path] = source
    for inner, inner_value in value.items():
        _assign(before, inner, inner_value, source, origins, inner_schema, path)


def _beside(schema: type | None) -> list[str]:
    """Return the settings that stay where another component that has them is named."""
    return [one.name for one in fields(schema) if BESIDE in one.metadata] if schema else []


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
