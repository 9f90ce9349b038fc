"""`stages:` in a sweep file: runs that go on from a row's run, with other settings.

    stages:
      longer: {model.context: 512, training.token_share: 0.1}
    rows:
      mta trained on: {attention: multi_token, stages: [longer]}

The first stage of a row starts from the weights of the run that the row itself says, each further
one from those of the stage before it; the optimizer is new. What a stage does not set is as in the
run before it, `times` multiplies what stands there. A stage may insert operations into the
attention, if they are the identity at the start.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from components.attention.insertion import refuse_change
from components.registry import ComponentError
from mta_lab.config import Layer, RunConfig, StageConfig, flatten, plain, resolve, started_from
from mta_lab.config.training import NO_PART, TrainingConfig
from mta_lab.errors import UserError, nearest
from mta_lab.sweep.checks import settings_of
from mta_lab.sweep.products import products

SECTIONS = ("training", "data", "task", "evaluations", "attention")
MODEL = ("model.context", "model.rope_theta", "model.positions")
"""settings that the weights leave open, where positions are turned by angles and have no weights"""
WAYS = ("dropout", "impl")
"""settings of how an attention is computed, which one of another name has, too"""
FOLLOW = ("training.steps", "training.warmup_steps", "training.validations")
"""settings that a share of the tokens, or no steps, changes besides"""
MAY_CHANGE = f"a stage may change {', '.join(MODEL)}, {', '.join(SECTIONS)}"


@dataclass(frozen=True)
class Stage:
    """A stage as the file says it."""

    name: str
    where: str
    """its place in the file, for errors"""
    settings: Mapping[str, Any]
    times: Mapping[str, Any]

    @property
    def sets(self) -> set[str]:
        """Return the keys that it sets or multiplies, dotted."""
        return settings_of(self.settings) | self.times.keys()

    @property
    def declared(self) -> dict[str, Any]:
        """Return what it changes by its own word: a share of the tokens is of warm-up, too."""
        follow = FOLLOW if self.sets & {"training.token_share", "training.steps"} else ()
        return dict.fromkeys([*self.sets, *follow], 0)


def read_stages(given: Mapping[str, Any], source: str) -> dict[str, Stage]:
    """Return the stages of a file by name; raise UserError for what no stage can say."""
    found = {}
    for name, values in given.items():
        where = f"{source}: stages.{name}"
        if not isinstance(values, Mapping) or not values:
            raise UserError(f"{where}: got {values!r}, allowed: a mapping of settings; {MAY_CHANGE}")
        own = dict(values)
        times = own.pop("times", {})
        if not isinstance(times, Mapping):
            raise UserError(f"{where}: times: got {times!r}, allowed: a mapping of settings to factors")
        found[name] = stage = Stage(name, where, own, times)
        if twice := sorted(settings_of(stage.settings) & stage.times.keys()):
            raise UserError(f"{where}: {twice[0]}: is set and multiplied; keep one")
    return found


def chosen(given: Any, known: Mapping[str, Stage], where: str) -> tuple[Stage, ...]:
    """Return the stages that a row names, in order: a name, or a list of names."""
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"{where}: got {given!r}, allowed: a list of stages, like [longer]")
    for place, name in enumerate(names):
        if name not in known:
            hint = nearest(name, known) or ";"
            raise UserError(f"{where}: no stage named '{name}'{hint} stages of this file: {', '.join(known) or 'none'}")
        if name in names[:place]:
            circle = "' after '".join(reversed(names[: place + 1]))
            raise UserError(f"{where}: goes round in a circle: '{circle}'; name each stage once")
    return tuple(known[name] for name in names)


def staged(parent: RunConfig, stage: Stage) -> StageConfig:
    """Return the run of a stage that starts from `parent`.

    Raises:
        UserError: the stage sets what it cannot change, or a value that it cannot have.
    """
    where, before = stage.where, flatten(parent)
    _refuse_other_keys(stage.sets, before, where)
    given = {**stage.settings, **products(before, stage.times, where)}
    layers = [Layer(f"the run before {stage.name}", _kept(parent)), Layer(where, given)]
    if _steps(given) == 0:
        layers.insert(1, Layer(f"{where}: 0 steps", {"training.warmup_steps": 0, "training.validations": 1}))
    if ways := _ways(parent, stage):
        layers.append(Layer(f"the run before {stage.name}", ways))
    config = resolve(layers, fewest_steps=0)
    try:
        refuse_change(parent.attention, config.attention, config.model.layers)
    except ComponentError as error:
        raise UserError(f"{where}: attention.{error}") from None
    _refuse_other_positions(parent, config, where)
    return started_from(parent, config)


def _refuse_other_positions(parent: RunConfig, config: RunConfig, where: str) -> None:
    """Raise UserError for positions that the weights of the run before were not trained with."""
    before, after = parent.model, config.model
    if not after.positions.follow(before.positions):
        said = f"got '{after.positions.name}' after '{before.positions.name}'"
        raise UserError(f"{where}: model.positions: {said}, allowed: the same, or rotary after rotary")
    if before.context < after.context and not after.positions.any_length:
        said = f"got {after.context}, but the run before has '{after.positions.name}' positions for {before.context}"
        raise UserError(f"{where}: model.context: {said}; allowed: up to {before.context}")


def _ways(parent: RunConfig, stage: Stage) -> dict[str, Any]:
    """Return how the parent computes its attention, for a stage that names another one.

    What the stage itself sets is left out, and so is what is usual.
    """
    if not stage.sets & {"attention", "attention.name"}:
        return {}  # it goes on from its parent's
    attention, usual = parent.attention, type(parent.attention)
    keys = [f"attention.{name}" for name in WAYS if getattr(attention, name, None) != getattr(usual, name, None)]
    return {key: getattr(attention, key.partition(".")[2]) for key in keys if key not in stage.sets}


def _refuse_other_keys(keys: Collection[str], before: Mapping[str, Any], where: str) -> None:
    for key in sorted(keys):
        if key.partition(".")[0] in SECTIONS or key in MODEL or key.startswith("model.positions."):
            continue
        if any(one == key or one.startswith(f"{key}.") for one in before):
            raise UserError(f"{where}: {key}: stays that of the run before it, whose weights are kept; {MAY_CHANGE}")
        raise UserError(f"{where}: {key}: no such key{nearest(key, (*MODEL, *SECTIONS)) or ';'} {MAY_CHANGE}")


def _kept(parent: RunConfig) -> dict[str, Any]:
    """Return the settings of the run before, those included that decide no result."""
    settings = {key: value for key, value in plain(parent, later=True).items() if key not in ("parent", "init")}
    others = [one.name for one in fields(TrainingConfig) if NO_PART in one.metadata and one.name != "token_share"]
    settings["training"] |= {name: getattr(parent.training, name) for name in others}
    return settings


def _steps(given: Mapping[str, Any]) -> Any:
    """Return the steps that a stage says, written dotted or nested; None where it says none."""
    section = given.get("training")
    return given.get("training.steps", section.get("steps") if isinstance(section, Mapping) else None)


def refuse_beside(stages: Mapping[str, Sequence[Stage]], key: str, source: str) -> None:
    """Raise UserError where rows with stages stand beside `search` or `tune`."""
    if rows := [row for row, of_row in stages.items() if of_row]:
        said = f"row '{rows[0]}' has stages, whose runs start from others"
        raise UserError(f"{source}: {key}: {said}; leave one of the two out")
