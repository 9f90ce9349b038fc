"""The identity of a run: its fingerprint, and what its components compute."""

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from typing import Any

from components.attention import AttentionConfig
from components.evaluations import Evaluation
from components.feed_forward import SWIGLU, FeedForwardConfig
from components.initialisers import FAN_IN, InitialiserConfig
from components.optimizers import ADAMW, OptimizerConfig
from components.positions import ROTARY, PositionConfig
from components.registry import Component
from components.residual_norms import PRE, ResidualNormConfig
from components.schedules import CONSTANT, LINEAR, ScheduleConfig
from components.tasks import ExercisedTask, TaskConfig
from mta_lab.config.canonical import plain
from mta_lab.config.meaning import (
    attention_meaning,
    evaluation_meaning,
    feed_forward_meaning,
    initialiser_meaning,
    position_meaning,
    residual_norm_meaning,
    schedule_meaning,
    task_meaning,
)
from mta_lab.config.remembered import remembered
from mta_lab.config.schema import RunConfig
from mta_lab.config.training import TrainingConfig
from mta_lab.identity import Identity, fingerprint_of

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
    positions: tuple[PositionConfig, ...]
    """none where they are rotary, as in every version: the engine's number stands for it"""
    feed_forward: tuple[FeedForwardConfig, ...]
    """none where it is SwiGLU, as in every version: the engine's number stands for it"""
    feed_forward_classes: frozenset[type]
    residual_norms: tuple[ResidualNormConfig, ...]
    """none where they are RMSNorms before the sublayers: the engine's number stands for them"""
    residual_norm_classes: frozenset[type]
    pre_norm_scales: tuple[float, ...]
    initialisers: tuple[InitialiserConfig, ...]
    """none where it is `fan_in`, as in every version: the engine's number stands for it"""


def _parts(config: RunConfig) -> Parts:
    scoring: Scoring = (config.task, *config.evaluations)
    model, other = config.model, config.model.feed_forward != SWIGLU
    other_norms = model.residual_norms != PRE
    return Parts(
        attention=config.attention,
        attention_classes=config.attention_classes(),
        scoring=scoring,
        trainers=_trainers(config.training),
        positions=() if model.positions.name == ROTARY.name else (model.positions,),
        feed_forward=(model.feed_forward,) if other else (),
        feed_forward_classes=config.feed_forward_classes() if other else frozenset(),
        residual_norms=(model.residual_norms,) if other_norms else (),
        residual_norm_classes=config.residual_norm_classes() if other_norms else frozenset(),
        pre_norm_scales=config.pre_norm_scales if other_norms else (),
        initialisers=() if model.initialiser == FAN_IN else (model.initialiser,),
    )


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
        *(
            remembered({"positions": plain(one), "heads": heads}, partial(position_meaning, one, heads))
            for one in run.positions
        ),
        *(
            remembered({"feed_forward": plain(one), "layers": layers}, partial(feed_forward_meaning, one, layers))
            for one in run.feed_forward
        ),
        *(
            remembered(
                {"residual_norms": plain(one), "scales": run.pre_norm_scales},
                partial(residual_norm_meaning, one, run.pre_norm_scales),
            )
            for one in run.residual_norms
        ),
        *(
            remembered({"initialiser": plain(one), **sizes}, partial(initialiser_meaning, one, **sizes))
            for one in run.initialisers
        ),
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
    of_model = (run.attention, *run.positions, *run.feed_forward, *run.residual_norms, *run.initialisers)
    parts: list[Component] = [*of_model, run.scoring[0].evaluation, *run.scoring, *run.trainers]
    built = run.attention_classes | run.feed_forward_classes | run.residual_norm_classes
    classes = {type(part) for part in _components(parts)} | built
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
