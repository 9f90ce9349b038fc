"""The identity of a run: its canonical form, its fingerprint, and how two runs differ."""

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache, partial
from typing import Any

from components.attention import AttentionConfig
from components.evaluations import Evaluation
from components.optimizers import ADAMW, OptimizerConfig
from components.registry import LATER, Component
from components.schedules import CONSTANT, LINEAR, ScheduleConfig
from components.tasks import ExercisedTask, TaskConfig
from mta_lab.config.layers import type_hints
from mta_lab.config.meaning import attention_meaning, evaluation_meaning, schedule_meaning, task_meaning
from mta_lab.config.remembered import remembered
from mta_lab.config.schema import RunConfig
from mta_lab.config.stage import StageConfig
from mta_lab.config.training import BARE, NO_PART, TrainingConfig
from mta_lab.identity import Identity, fingerprint_of


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
    if not is_dataclass(value):
        return value
    found: dict[str, Any] = {"name": value.name} if isinstance(value, Component) else {}
    for name, is_number, default, marks in _settings(type(value)):  # type: ignore[arg-type]  # a class is hashable
        given = getattr(value, name)
        if later or not LATER.items() <= marks.items() or given != default:
            item = plain(given, later=later)
            if BARE.items() <= marks.items() and list(item) == ["name"]:
                item = item["name"]
            found[name] = float(item) if is_number else item
    return found


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


_ABSENT = object()
PARENT = "parent."
"""begins the key of what a stage's parent has, if it differs"""
Scoring = tuple[TaskConfig, *tuple[Evaluation, ...]]
"""a run's task, and its evaluations besides the task's own"""
Trainers = tuple[OptimizerConfig | ScheduleConfig, ...]
ENGINES = (ADAMW, LINEAR, CONSTANT)
"""what every version trained with: the engine's number stands for what these compute"""


DECIDE_NOTHING = {"components.registry", "components.hints"}
"""modules that find components and refuse arguments, and have no part in what is computed"""


def identity_of(config: RunConfig, content_hash: str, parent: str = "") -> Identity:
    """Return the identity of a run on a text; `parent` is the fingerprint that a stage starts from.

    Its parts about components are measured once for each attention.
    """
    return Identity(meaning=meaning_of(config), code=own_code(config), text=content_hash, parent=parent)


def fingerprint(config: RunConfig, content_hash: str, parent: str = "") -> str:
    """Return 16 hex digits over a run's configuration and its identity.

    The scale's name is left out: it is a label. Names, messages and comments in shipped components
    do not count, what they compute does; a user's own components count by their code, without
    comments and docstrings, besides. A stage is identified by its parent's fingerprint, too.
    """
    return fingerprints(config, content_hash, [config.seed], {config.seed: parent})[config.seed]


def fingerprints(
    config: RunConfig, content_hash: str, seeds: Iterable[int], parents: Mapping[int, str] = {}
) -> dict[int, str]:
    """Return the fingerprint of a configuration under each of `seeds`, whatever its own seed.

    `parents` are those of the runs that a stage starts from, by seed.
    """
    settings, identity = plain(config), identity_of(config, content_hash)
    return {
        seed: fingerprint_of({**settings, "seed": seed}, replace(identity, parent=parents.get(seed, "")))
        for seed in seeds
    }


def meaning_of(config: RunConfig) -> str:
    """Return what a run's components compute, as 16 hex digits.

    With a user's component among them, it is 'code:' and a hash.
    """
    parts = _parts(config)
    return _meaning(parts, config.model.heads, config.model.layers)


@dataclass(frozen=True)
class Parts:
    """The components of a run; the runs of a row, which differ in the seed alone, have the same."""

    attention: AttentionConfig
    attention_classes: frozenset[type]
    scoring: Scoring
    trainers: Trainers


def _parts(config: RunConfig) -> Parts:
    scoring: Scoring = (config.task, *config.evaluations)
    return Parts(config.attention, config.attention_classes(), scoring, _trainers(config.training))


def _trainers(training: TrainingConfig) -> Trainers:
    """Return the optimizer and the schedule, where they are others than in every version."""
    return tuple(one for one in (training.optimizer, training.schedule) if one not in ENGINES)


@cache
def _meaning(run: Parts, heads: int, layers: int) -> str:
    modules, (task, *further), attention = _modules(run), run.scoring, run.attention
    if any(map(_is_users, modules)):  # identifying a run executes nothing of a user's: that is for workers
        return f"code:{_code(modules)}"
    sizes = {"heads": heads, "layers": layers}
    parts = [
        remembered({"attention": plain(attention), **sizes}, lambda: attention_meaning(attention, heads, layers)),
        remembered({"task": plain(task)}, lambda: task_meaning(task)),
        *(code_of(one) for one in (task.exercised if isinstance(task, ExercisedTask) else ())),
        *(remembered({"evaluation": plain(one)}, partial(evaluation_meaning, one)) for one in further),
        *(schedule_meaning(one) if isinstance(one, ScheduleConfig) else code_of(one) for one in run.trainers),
    ]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def own_code(config: RunConfig) -> str:
    """Return a hash over the code of the user's components in a run; empty where there are none."""
    return _own_code(_parts(config))


@cache
def _own_code(run: Parts) -> str:
    own = {module for module in _modules(run) if _is_users(module)}
    return _code(own) if own else ""


def _code(modules: Iterable[str]) -> str:
    hashes = sorted(_source_hash(module) for module in modules)
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


def _is_users(module: str) -> bool:
    return module.partition(".")[0] != "components"


def modules_of(config: RunConfig) -> set[str]:
    """Return the modules of the run's components, and of their bases.

    So do the functions and modules that these import from their own package or from `components`,
    and so on.
    """
    return _modules(_parts(config))


def code_of(one: Evaluation | OptimizerConfig) -> str:
    """Return a hash over the code of a component that is not measured, shipped or the user's."""
    classes = {type(part) for part in _components(one)}
    bases = {base.__module__ for cls in classes for base in cls.__mro__ if _is_component_code(base.__module__)}
    return _code(
        {name for name in _reached(bases) if _is_users(name) or name.startswith(f"components.{one.family}.")}
        - {Evaluation.__module__}
    )


def _modules(run: Parts) -> set[str]:
    parts = [run.attention, run.scoring[0].evaluation, *run.scoring, *run.trainers]
    classes = {type(part) for part in _components(parts)} | run.attention_classes
    return _reached({base.__module__ for cls in classes for base in cls.__mro__ if _is_component_code(base.__module__)})


def _reached(modules: set[str]) -> set[str]:
    """Return the modules, and what they import of their own package or of `components`."""
    new = modules
    while new := {name for module in new for name in _imported_by(module)} - modules:
        modules |= new
    return modules - DECIDE_NOTHING


def _imported_by(module: str) -> set[str]:
    """Return the modules that `module` imported as a whole, or of which it imported a function.

    Packages only hold other modules, and are left out.
    """
    # torch.compile leaves modules and functions of its own in a compiled module, under `__` names.
    values = [value for name, value in vars(sys.modules[module]).items() if not name.startswith("__")]
    homes = {value.__module__ for value in values if inspect.isfunction(value)}
    homes |= {value.__name__ for value in values if inspect.ismodule(value) and not hasattr(value, "__path__")}
    packages = {module.partition(".")[0], "components"}
    return {home for home in homes if home.partition(".")[0] in packages}


def _components(value: Any) -> Iterator[Component]:
    if isinstance(value, Component):
        yield value
        for field in fields(value):
            yield from _components(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _components(item)


def _is_component_code(module: str) -> bool:
    """Return whether a class of this module is neither torch's nor Python's own."""
    package = module.partition(".")[0]
    return package != "torch" and package not in sys.stdlib_module_names


@cache
def _source_hash(module: str) -> str:
    """Return a hash of a module's code, comments and docstrings removed."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [item for item in body if not _is_bare_string(item)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def _is_bare_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
